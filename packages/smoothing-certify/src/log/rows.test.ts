import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { rowsOf } from "../run/rows.ts";
import { readLog, readLogRows, writeLog } from "./log-file.ts";
import { formatHeader, formatRow } from "./log-format.ts";
import type { LogRow } from "./log-row.ts";
import { mergeLogRows, mergeLogs } from "./merge.ts";

const folder = temporaryFolders("smoothing-rows");
const row = (idx: number): LogRow => ({
  ...{ idx, label: 1, predict: 1, correct: 1, radius: 0.1 + idx / 7, time: idx / 8, pLower: 0.9 },
  ...{ samples: 30, counts0: [0, 10], counts: [idx % 5, 20 - (idx % 5)] },
  settings: {
    ...{ procedure: "certify", sigma: 0.25, alpha: 0.001, n0: 10, n: 20, seed: "1" },
    ...{ generator: "g", dataset: "Größe 日本", model: "m" },
  },
});
const rows = (count: number) => Array.from({ length: count }, (_, idx) => row(idx));
const collect = (source: AsyncGenerator<LogRow>) => rowsOf(source).toArray();
/** Longer than a piece that is read at once; characters of several bytes lie over its end. */
const many = rows(1500);

describe("readLogRows", () => {
  it.each(["log.tsv", "log.tsv.gz"])("gives the rows of readLog: %s", async (name) => {
    const log = join(folder(), name);
    await writeLog(log, many);
    expect(await collect(readLogRows(log))).toEqual(many);
    expect(await readLog(log)).toEqual(many);
  });

  it("names the line of an error, gives the rows before it, and closes the file", async () => {
    const log = join(folder(), "log.tsv");
    const text = formatHeader(true) + many.map((r) => formatRow(r, true)).join("");
    const open = () => readdirSync("/proc/self/fd").length;
    const before = open();
    writeFileSync(log, `${text}7\t1\n`);
    let count = 0;
    const read = async () => {
      for await (const _ of readLogRows(log)) count++;
    };
    await expect(read()).rejects.toThrow("line 1502: 17 columns expected, 2 found");
    expect(count).toBeGreaterThan(1000);
    writeFileSync(log, `${text}${formatRow(row(3), true)}`);
    await expect(read()).rejects.toThrow("line 1502: image 3 is there already, in line 5");
    writeFileSync(log, `${text}${formatRow(row(1500), true).slice(0, 40)}`);
    await expect(read()).rejects.toThrow("line 1502: cut off after");
    expect(await collect(readLogRows(log, { partial: true }))).toEqual(many);
    writeFileSync(`${log}.gz`, gzipSync(text).subarray(0, 3000));
    await expect(collect(readLogRows(`${log}.gz`, { partial: true }))).rejects.toThrow(
      "cannot read",
    );
    for (const name of [log, `${log}.gz`])
      for await (const { idx } of readLogRows(name, { partial: true })) if (idx > 3) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (process.platform === "linux") expect(open()).toBe(before);
  });

  it("finds an image that is there twice, in whatever order the images are", async () => {
    const log = join(folder(), "log.tsv");
    const images = [5, 9, 2, 7, 9];
    const lines = images.map((idx) => formatRow(row(idx), true));
    writeFileSync(log, formatHeader(true) + lines.join(""));
    await expect(readLog(log)).rejects.toThrow("line 6: image 9 is there already, in line 3");
  });
});

describe("writeLog", () => {
  it("takes rows as they come, and leaves no file where they fail", async () => {
    const place = folder();
    await writeLog(join(place, "a.tsv"), readRowsOf(many));
    await writeLog(join(place, "b.tsv"), many);
    expect(readFileSync(join(place, "a.tsv"), "utf8")).toBe(
      readFileSync(join(place, "b.tsv"), "utf8"),
    );
    for (const name of ["c.tsv", "c.tsv.gz"])
      await expect(writeLog(join(place, name), readRowsOf(many, 1000))).rejects.toThrow("broken");
    expect(readdirSync(place).sort()).toEqual(["a.tsv", "b.tsv"]);
    await writeLog(join(place, "empty.tsv"), readRowsOf([]));
    expect(readFileSync(join(place, "empty.tsv"), "utf8")).toBe(formatHeader(false));
  });

  it("refuses what readLog would refuse, and leaves no file", async () => {
    const path = join(folder(), "a.tsv");
    const [first] = many as [LogRow];
    const twice = writeLog(path, [...many, first]);
    await expect(twice).rejects.toThrow(`image ${first.idx}: it is there already, in line 2`);
    const contradiction = { ...first, correct: 1, predict: -1 } as LogRow;
    await expect(writeLog(path, [contradiction])).rejects.toThrow("correct is 1");
    const none = { ...first, radius: Number.NaN };
    await expect(writeLog(path, [none])).rejects.toThrow("radius must be a number >= 0, got NaN");
    expect(existsSync(path)).toBe(false);
  });
});

async function* readRowsOf(list: readonly LogRow[], failing = Number.POSITIVE_INFINITY) {
  for (const one of list) {
    if (one.idx === failing) throw new Error("broken");
    yield one;
  }
}

describe("mergeLogRows", () => {
  it("gives the rows of mergeLogs, of logs in any order", async () => {
    const place = folder();
    const [a, b] = [join(place, "a.tsv"), join(place, "b.tsv.gz")];
    await writeLog(
      a,
      many.filter(({ idx }) => idx % 3 === 0),
    );
    await writeLog(b, many.filter(({ idx }) => idx % 3 !== 0).reverse());
    expect(await collect(mergeLogRows([a, b]))).toEqual(many);
    expect(await mergeLogs([b, a])).toEqual(many);
  });

  it("keeps to the rows that it checked, while a run appends others", async () => {
    const log = join(folder(), "log.tsv");
    await writeLog(log, many);
    const merged = mergeLogRows([log]);
    const first = await merged.next();
    appendFileSync(log, formatRow(row(3), true)); // an image that is there already
    expect([first.value, ...(await collect(merged))]).toEqual(many);
    await writeLog(`${log}.2`, many);
    const cut = mergeLogRows([`${log}.2`]);
    await cut.next();
    truncateSync(`${log}.2`, 100_000);
    await expect(collect(cut)).rejects.toThrow(/cut off after|lost rows while it was read/);
  });
});
