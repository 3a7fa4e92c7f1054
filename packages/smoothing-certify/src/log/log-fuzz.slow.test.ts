import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { DmaeError, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readLog, writeLog } from "./log-file.ts";
import type { LogRow } from "./log-row.ts";

type Random = () => number;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "log-fuzz-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Rows as a run of ours writes them. */
const rows: LogRow[] = Array.from({ length: 6 }, (_, i) => ({
  idx: 20 * i,
  label: i,
  predict: i === 3 ? -1 : i,
  radius: i === 3 ? 0 : 0.1 + i / 7,
  correct: i === 3 ? 0 : 1,
  time: 1.25 * i,
  pLower: 0.5 + i / 20,
  samples: 1100,
  counts0: [0, 0, 100 - i, i],
  counts: [1, 0, 1000 - i, Math.max(0, i - 1)],
  settings: { sigma: 0.25, alpha: 0.001, n0: 100, n: 1000, seed: "s", generator: "g", batch: 64 },
})) as unknown as LogRow[];

/** A log of the original Python tools. */
const python = `idx\tlabel\tpredict\tradius\tcorrect\ttime
0\t3\t3\t0.6934\t1\t0:00:11.500000
20\t5\t-1\t0.0\t0\t0:00:12
40\t8\t8\t0.251\tTrue\t1 day, 0:00:01.250000
60\t1\t0\t0.9\tFalse\t0:00:10.000001
`;

/** Cells that stand where another was. */
const cells = ["", " ", "-1", "-0", "NaN", "Infinity", "1e999", "1e21", "0x10", "9007199254740993"]
  .concat("True", "true", "2", "0.5", "__proto__", "{}", "[]", "null", '{"sigma":1}', "\0", "ü")
  .concat(
    "9999999;",
    "99999999;",
    "10;3:5,12:1",
    "10;3:5,3:6",
    "10;3:-5",
    "10;3:1e5",
    ";",
    "4;1:9",
  );

/** Damages a log in one to three of the ways in which text files are damaged, and some in which they are forged. */
function mutate(original: Buffer, draw: Random): Buffer {
  const below = (limit: number) => Math.floor(draw() * limit);
  let bytes = Buffer.from(original);
  const lines = () => bytes.toString("latin1").split("\n");
  const join = (parts: readonly string[]) => Buffer.from(parts.join("\n"), "latin1");
  for (let count = 1 + below(3); count > 0; count--) {
    const at = below(bytes.length);
    const text = lines();
    const line = below(text.length);
    switch (below(9)) {
      case 0: // a flipped bit
        if (bytes.length > 0) bytes[at]! ^= 1 << below(8);
        break;
      case 1: // cut off
        bytes = bytes.subarray(0, at);
        break;
      case 2: // a piece left out
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(20))]);
        break;
      case 3: // a piece repeated
        bytes = Buffer.concat([bytes.subarray(0, at + 9), bytes.subarray(at)]);
        break;
      case 4: // a line twice, or one left out
        bytes = join(text.toSpliced(line, below(2), ...(draw() < 0.5 ? [text[line]!] : [])));
        break;
      case 5: // other line ends
        bytes = join(text.map((part) => (draw() < 0.5 ? `${part}\r` : part)));
        break;
      case 6: // two lines changed places
        bytes = join(text.with(line, text.at(-1 - line)!).with(-1 - line, text[line]!));
        break;
      default: {
        // another cell
        const parts = text[line]!.split("\t");
        bytes = join(
          text.with(line, parts.with(below(parts.length), cells[below(cells.length)]!).join("\t")),
        );
      }
    }
  }
  return bytes;
}

/** What a log that reads must have read as: by splitting it, and nothing more. */
function requireRight(read: readonly LogRow[], bytes: Buffer): void {
  const [header = "", ...lines] = bytes.toString("utf8").split("\n");
  const names = header.replace(/\r$/, "").split("\t");
  const kept = lines.filter((line) => line.trim() !== "");
  expect(read).toHaveLength(kept.length);
  read.forEach((row, i) => {
    const parts = kept[i]!.replace(/\r$/, "").split("\t");
    const cell = (name: string) => parts[names.indexOf(name)]!;
    for (const name of ["idx", "label", "predict", "radius"] as const)
      expect(row[name]).toBe(Number(cell(name)));
    expect(row.correct).toBe(["1", "True"].includes(cell("correct")) ? 1 : 0);
    expect(row.predict).toBeGreaterThanOrEqual(-1);
    expect(row.radius).toBeGreaterThanOrEqual(0);
    if (row.settings === undefined) return;
    for (const name of ["counts0", "counts"] as const) {
      const votes = row[name]!;
      const pairs = votes.flatMap((count, c) => (count > 0 ? [[c, count]] : []));
      const written = cell(name)
        .slice(cell(name).indexOf(";") + 1)
        .split(",");
      const numbers = written.map((pair) => pair.split(":").map(Number) as [number, number]);
      expect(pairs).toEqual(numbers.filter(([, count]) => count > 0).sort(([a], [b]) => a - b));
      expect(votes).toHaveLength(Number(cell(name).split(";")[0]));
    }
    expect(row.samples).toBe(Number(cell("samples")));
    expect(row.settings.n).toBe(Number(cell("n")));
  });
}

/** Without times (one that does not parse is kept as text, line ends in it included), and -0 as 0. */
const plain = (read: readonly LogRow[]) =>
  JSON.parse(JSON.stringify(read.map(({ time, ...row }) => row)));

async function fuzz(from: number, files: number, originals: readonly Buffer[]) {
  let loaded = 0;
  for (let i = from; i < from + files; i++) {
    const draw = generator(key(`log/${i}`));
    const zipped = i % 5 === 4;
    const path = join(folder, zipped ? "log.tsv.gz" : "log.tsv");
    const text = mutate(originals[i % originals.length]!, draw);
    // Of the packed logs, half are damaged before they are packed and half after.
    const bytes = !zipped ? text : i % 2 ? gzipSync(text) : mutate(gzipSync(text), draw);
    await writeFile(path, bytes);
    try {
      const read = await readLog(path);
      loaded++;
      requireRight(read, zipped ? gunzipSync(bytes) : bytes);
      const copy = join(folder, "copy.tsv");
      await writeLog(copy, read);
      expect(plain(await readLog(copy))).toEqual(plain(read));
      await rm(copy);
    } catch (error) {
      if (!DmaeError.isInstance(error) || error.code !== "file")
        throw new Error(`log ${i}: ${JSON.stringify(text.toString("latin1"))}`, { cause: error });
    }
  }
  return loaded;
}

test("20,000 damaged logs read right or fail with a typed error, in little memory", async () => {
  const ours = join(folder, "ours.tsv");
  await writeLog(ours, rows);
  const originals = [await readFile(ours), Buffer.from(python)];
  await fuzz(0, 2_000, originals); // warms up, so that what follows measures the logs and not the engine
  const before = process.resourceUsage().maxRSS;
  const loaded = await fuzz(2_000, 20_000, originals);
  const grownMiB = (process.resourceUsage().maxRSS - before) / 1024;
  expect(loaded, "some damaged logs are still whole").toBeGreaterThan(1_000);
  expect(loaded, "some are not").toBeLessThan(19_000);
  expect(grownMiB).toBeLessThan(64);
});
