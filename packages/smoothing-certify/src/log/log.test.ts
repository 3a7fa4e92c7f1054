import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DmaeError } from "@dmae/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { averageCertifiedRadius, certifiedAccuracy } from "../report/summary.ts";
import { rowsOf } from "../run/rows.ts";
import { readLog, writeLog } from "./log-file.ts";
import { formatHeader, formatRow } from "./log-format.ts";
import { parseLog } from "./log-reader.ts";
import type { LogRow, LogSettings } from "./log-row.ts";
import { openLog } from "./log-writer.ts";

const folder = temporaryFolders("smoothing-log");
const settings: LogSettings = {
  procedure: "certify",
  sigma: 0.25,
  alpha: 0.001,
  n0: 100,
  n: 1000,
  seed: '"a seed\\twith a tab"',
  generator: "philox4x32-10/gaussian",
  dataset: "test",
  model: "m",
};
const row = (idx: number, more: Partial<LogRow> = {}): LogRow => ({
  idx,
  label: 3,
  predict: 3,
  radius: 0.1234567890123456,
  correct: 1,
  time: 61.25,
  pLower: 0.9,
  samples: 1100,
  counts0: [0, 0, 0, 100],
  counts: [0, 5, 0, 995],
  settings,
  ...more,
});

const anyRow = fc
  .record({
    idx: fc.nat(),
    label: fc.nat(1000),
    predict: fc.integer({ min: -1, max: 1000 }),
    radius: fc.double({ min: 0, max: 100, noNaN: true }),
    isRight: fc.boolean(),
    time: fc.integer({ min: 0, max: 1e9 }).map((micros) => micros / 1e6),
    pLower: fc.double({ min: 0, max: 1, noNaN: true }),
    counts0: fc.array(fc.nat(), { maxLength: 20 }),
    counts: fc.array(fc.nat(), { maxLength: 20 }),
    settings: fc
      .record({ model: fc.string(), dataset: fc.string(), sigma: fc.double({ min: 1e-3, max: 9 }) })
      .map((some) => ({ ...settings, ...some })),
  })
  .map(({ isRight, ...r }): LogRow => {
    const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
    const [n0, n] = [total(r.counts0), total(r.counts)];
    const settings = { ...r.settings, n0, n };
    const predict = isRight ? r.label : r.predict;
    const correct = predict === r.label ? 1 : 0;
    const radius = predict === -1 ? 0 : r.radius;
    return { ...r, predict, correct, radius, samples: n0 + n, settings };
  });
const rows = fc.uniqueArray(anyRow, { selector: (r) => r.idx, maxLength: 6 });
const print = (list: readonly LogRow[]) =>
  formatHeader(true) + list.map((r) => formatRow(r, true)).join("");

describe("the log format", () => {
  it("gives back every row exactly, whatever its names contain", () => {
    fc.assert(
      fc.property(rows, (list) => {
        expect(parseLog(print(list))).toEqual(list.map((r) => ({ ...r, radius: r.radius + 0 })));
      }),
      { seed: 3 },
    );
  });

  it("never mistakes a cut-off log for a whole one, and loses no complete row of it", () => {
    fc.assert(
      fc.property(rows, fc.nat(), (list, cut) => {
        const text = print(list);
        const header = formatHeader(true).length;
        const at = header + (cut % (text.length - header + 1));
        const whole = list.filter((_, i) => print(list.slice(0, i + 1)).length - 1 <= at);
        expect(parseLog(text.slice(0, at), "log", true)).toEqual(whole);
      }),
      { seed: 4 },
    );
  });

  it("refuses votes that do not add up to what was drawn", () => {
    const refused = (more: Partial<LogRow>) => () => parseLog(print([row(0, more)]));
    expect(refused({ counts: [0, 5, 0, 994], samples: 1099 })).toThrow(
      "line 2: counts must sum to n = 1000, got 999",
    );
    expect(refused({ counts0: [0, 0, 0, 99], samples: 1099 })).toThrow(
      "must sum to n0 = 100, got 99",
    );
    expect(refused({ samples: 1101 })).toThrow(
      "samples must be the 1100 votes of counts0 and counts",
    );
    const adaptive = { ...settings, procedure: "adaptive" };
    expect(refused({ settings: adaptive, counts: [0, 0, 0, 1001], samples: 1101 })).toThrow(
      "counts must sum to at most n = 1000, got 1001",
    );
    const skipped = row(0, { counts: [], samples: 100 });
    expect(parseLog(print([skipped]))).toEqual([skipped]);
  });

  it("reads back votes for 100,000 classes and more", () => {
    const counts = new Array<number>(1_000_000).fill(0);
    counts[999_999] = 1000;
    const [read] = parseLog(print([row(0, { counts })]));
    expect(read!.counts!.length).toBe(1_000_000);
    expect(read!.counts![999_999]).toBe(1000);
  });

  it("throws a typed error for any other text", () => {
    const text = fc.string({ unit: fc.constantFrom("idx", "label", "\t", "\n", "1", "0.5", "x") });
    const header = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n";
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          text.map((t) => header + t),
        ),
        (t) => {
          try {
            for (const r of parseLog(t)) expect(Number.isSafeInteger(r.idx)).toBe(true);
          } catch (error) {
            expect(DmaeError.isInstance(error, "file"), String(error)).toBe(true);
          }
        },
      ),
      { seed: 5, numRuns: 500 },
    );
  });

  it.each([
    [
      "a\tb\n",
      "line 1: not a certification log, as certify or the original Python tools write it: the header must have the columns idx, label, predict, radius, correct, time; it lacks idx, label, predict, radius, correct, time",
    ],
    [
      "idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t2\t2\n",
      "line 2: 6 columns expected, 3 found",
    ],
    [
      "idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t2\t2\tnan\t1\t0:00:01\n",
      'line 2: radius must be a number >= 0, got "nan"',
    ],
    [
      "idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t2\t2\t1\t1\t0\n1\t2\t2\t1\t1\t0\n",
      "line 3: image 1 is there already, in line 2",
    ],
    ["idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t2\t2\t1\t1\t0\n2\t3", "line 3: cut off after"],
    [
      "idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t2\t-1\t0.5\t1\t0\n",
      "line 2: correct is 1, but the prediction is -1 and the label 2",
    ],
    [
      "idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t-1\t-1\t0\tTrue\t0\n",
      "line 2: correct is 1, but the prediction is -1 and the label -1; to abstain is not correct",
    ],
    [
      "idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t2\t2\t0.5\t0\t0\n",
      "line 2: correct is 0, but the prediction is 2 and the label 2",
    ],
    [
      "idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t2\t-1\t0.9\t0\t0\n",
      "line 2: radius must be 0 where the prediction is -1, which abstains, got 0.9",
    ],
  ])("names the line of %j", (text, message) => {
    expect(() => parseLog(text)).toThrow(message);
  });

  it("reads times of the original tools", () => {
    const text =
      "idx\tlabel\tpredict\tradius\tcorrect\ttime\r\n0\t1\t-1\t0.0\t0\t1 day, 2:03:04.5\r\n";
    expect(parseLog(text)[0]).toEqual({
      idx: 0,
      label: 1,
      predict: -1,
      radius: 0,
      correct: 0,
      time: 86400 + 2 * 3600 + 184.5,
    });
    expect(formatRow(row(0), false)).toBe("0\t3\t3\t0.1234567890123456\t1\t0:01:01.250000\n");
  });
});

describe("writeLog and readLog", () => {
  it("write and read the field's columns, and never overwrite", async () => {
    const path = join(folder(), "log.tsv");
    const { pLower, samples, counts0, counts, settings: _, ...plain } = row(5);
    await writeLog(path, [plain]);
    expect(readFileSync(path, "utf8").split("\n")[0]).toBe(
      "idx\tlabel\tpredict\tradius\tcorrect\ttime",
    );
    expect(await readLog(path)).toEqual([plain]);
    await expect(writeLog(path, [plain])).rejects.toThrow("exists already");
    await expect(readLog(`${path}.no`)).rejects.toThrow("readLog: cannot read");
  });
});

describe("openLog", () => {
  it("goes on after a torn line, which it keeps beside the log", async () => {
    const path = join(folder(), "log.tsv");
    const first = await openLog(path, settings);
    await first.append(row(1));
    await first.append(row(2));
    await first.close();
    const whole = readFileSync(path, "utf8");
    writeFileSync(path, whole + formatRow(row(3), true).slice(0, 25));
    const second = await openLog(path, settings);
    expect(second.images).toEqual(new Set([1, 2]));
    expect(await rowsOf(second.rows()).toArray()).toEqual([row(1), row(2)]);
    expect(readFileSync(path, "utf8")).toBe(whole);
    expect(readFileSync(`${path}.torn`, "utf8")).toBe(`${formatRow(row(3), true).slice(0, 25)}\n`);
    await second.append(row(3));
    await second.close();
    expect(await readLog(path)).toEqual([row(1), row(2), row(3)]);
  });

  it("completes a last line that only lacks its line end", async () => {
    const path = join(folder(), "log.tsv");
    writeFileSync(path, print([row(1)]).trimEnd());
    const log = await openLog(path, settings);
    await log.append(row(2));
    await log.close();
    expect(readFileSync(path, "utf8")).toBe(print([row(1), row(2)]));
  });

  it("refuses a log of other settings and says which", async () => {
    const path = join(folder(), "log.tsv");
    writeFileSync(path, print([row(1)]));
    const opened = openLog(path, { ...settings, sigma: 0.5, seed: "1" });
    await expect(opened).rejects.toThrow("sigma 0.25 there, 0.5 now; ");
    await expect(openLog(path, { ...settings, seed: "1" })).rejects.toMatchObject({
      code: "resume",
    });
    expect(readFileSync(path, "utf8")).toBe(print([row(1)]));
  });

  it("refuses and leaves alone a file that is no log, or one of another tool", async () => {
    const path = join(folder(), "log.tsv");
    writeFileSync(path, "precious\n");
    await expect(openLog(path, settings)).rejects.toThrow("the header must have the columns");
    writeFileSync(path, "idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t2\t2\t1\t1\t0\n");
    await expect(openLog(path, settings)).rejects.toThrow("does not say with which settings");
    expect(readFileSync(path, "utf8")).toContain("1\t2\t2\t1\t1\t0\n");
  });
});

describe("summaries", () => {
  const local = new URL("../__fixtures__/published/", import.meta.url);
  const all = new URL("../../../../../shared/reference/published/fmnist/", import.meta.url);
  const summary: {
    radii: number[];
    results: { file: string; rows: number; acr: number; certified_correct_counts: number[] }[];
  } = JSON.parse(readFileSync(new URL("summary.json", local), "utf8"));

  it("are exactly those recomputed from the published logs", async () => {
    let checked = 0;
    for (const expected of summary.results) {
      const url = [local, all].map((base) => new URL(expected.file, base)).find(existsSync);
      if (!url) continue;
      const log = await readLog(url);
      expect(log.length).toBe(expected.rows);
      expect(certifiedAccuracy(log, summary.radii)).toEqual(
        expected.certified_correct_counts.map((count) => count / expected.rows),
      );
      expectClose([averageCertifiedRadius(log)], [expected.acr], { relative: 1e-12 });
      checked++;
    }
    expect(checked).toBeGreaterThanOrEqual(2);
  });

  it("count only correct rows, and a radius at the threshold", () => {
    const some = [
      { radius: 0.5, correct: 1 as const },
      { radius: 9, correct: 0 as const },
      { radius: 0.25, correct: 1 as const },
      { radius: 0, correct: 0 as const },
    ];
    expect(certifiedAccuracy(some, [0, 0.25, 0.26, 0.5, 1])).toEqual([0.5, 0.5, 0.25, 0.25, 0]);
    expect(averageCertifiedRadius(some)).toBe(0.75 / 4);
    expect(() => averageCertifiedRadius([])).toThrow("rows must be a non-empty array");
    expect(() => certifiedAccuracy(some, [Number.NaN])).toThrow("radii must be >= 0, got NaN");
  });
});
