import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { halves, steps } from "../__fixtures__/steps.ts";
import { readLog, writeLog } from "../log/log-file.ts";
import type { LogRow } from "../log/log-row.ts";
import { mergeLogs } from "../log/merge.ts";
import { formatSeed, freshSeed, parseSeed } from "../noise/fresh-seed.ts";
import { soundNoise } from "../noise/sound-noise.ts";
import { certify } from "./certify.ts";
import { certifyAdaptive, certifyDatasetAdaptive } from "./certify-adaptive.ts";
import { certifyAtRadius, certifyDatasetAtRadius } from "./certify-at-radius.ts";
import { certifyDataset } from "./certify-dataset.ts";
import { predict } from "./predict.ts";
import { preflight } from "./preflight.ts";
import { certifySoft } from "./soft-votes.ts";

const file = (name: string) => join(mkdtempSync(join(tmpdir(), "smoothing-seed")), name);

/** A classifier of one number, and the noisy copies that it was shown. */
function recorder() {
  const seen: number[] = [];
  const classify = (batch: Float32Array, [n = 0]: number[]) => {
    seen.push(...batch.subarray(0, n));
    return Array.from({ length: n }, (_, i) => [0, batch[i]! > 0.5 ? 50 : -50]);
  };
  return { seen, classify };
}

const options = { sigma: 0.5, batchSize: 50, checkRows: false };
const single = {
  certify: (f, more) => certify(f, [0.6], { ...options, n0: 10, n: 100, ...more }),
  predict: (f, more) => predict(f, [0.6], { ...options, n: 100, ...more }),
  certifySoft: (f, more) => certifySoft(f, [0.6], { ...options, n0: 10, n: 100, ...more }),
  certifyAdaptive: (f, more) =>
    certifyAdaptive(f, [0.6], { ...options, pilot: 50, maxSamples: 500, ...more }),
  certifyAtRadius: (f, more) =>
    certifyAtRadius(f, [0.6], { ...options, radius: 0.01, maxSamples: 300, ...more }),
} satisfies Record<
  string,
  (f: ReturnType<typeof recorder>["classify"], more: object) => Promise<{ seed: unknown }>
>;

describe.each(Object.entries(single))("%s", (_, run) => {
  it("draws a fresh seed, returns it, and repeats its copies to the bit with it", async () => {
    const [a, b, c] = [recorder(), recorder(), recorder()];
    const first = await run(a.classify, {});
    const second = await run(b.classify, {});
    expect(Number.isSafeInteger(first.seed)).toBe(true);
    expect(second.seed).not.toBe(first.seed);
    expect(a.seen.filter((copy) => b.seen.includes(copy)).length).toBeLessThan(2); // float32 chance
    const again = await run(c.classify, { seed: first.seed });
    expect(c.seen).toEqual(a.seen);
    expect(again).toEqual(first);
  });

  it("returns the seed that was given, 0 too, or that of the noise", async () => {
    for (const seed of [0, 5n, "cat"])
      expect((await run(recorder().classify, { seed })).seed).toBe(seed);
    const noise = soundNoise({ seed: 3, sigma: 0.5 });
    expect((await run(recorder().classify, { noise })).seed).toBe(3);
    const own = { generator: "own", fill: (out: Float32Array) => void out.fill(0.7) };
    expect((await run(recorder().classify, { noise: own })).seed).toBeUndefined();
  });
});

it("a loop over images shares no noise", async () => {
  const { seen, classify } = recorder();
  for (let image = 0; image < 20; image++)
    await certify(classify, [0], { ...options, n0: 1, n: 50, batchSize: 51 });
  const copies = seen.map((copy) => copy.toFixed(7));
  expect(copies.length - new Set(copies).size).toBeLessThan(8); // chance of equal digits: about 0.3
});

it("a fresh seed has 53 bits from the platform's generator", () => {
  const spy = vi.spyOn(crypto, "getRandomValues");
  spy.mockImplementation((words) => (words as Uint32Array).fill(2 ** 32 - 1) as never);
  expect(freshSeed()).toBe(2 ** 53 - 1);
  spy.mockRestore();
  expect(new Set(Array.from({ length: 1000 }, freshSeed)).size).toBe(1000);
});

it.each([0, 2 ** 53 - 1, 2n ** 64n - 1n, "cat", "5", ""])("a log keeps seed %o", (seed) => {
  expect(parseSeed(formatSeed(seed))).toBe(seed);
});

const images = steps(12);
const datasets = {
  certifyDataset: (more) => certifyDataset(halves, images, { sigma: 0.5, n0: 10, n: 100, ...more }),
  certifyDatasetAdaptive: (more) =>
    certifyDatasetAdaptive(halves, images, { sigma: 0.5, pilot: 20, maxSamples: 200, ...more }),
  certifyDatasetAtRadius: (more) =>
    certifyDatasetAtRadius(halves, images, { sigma: 0.5, radius: 0.1, ...more }),
} satisfies Record<string, (more: object) => AsyncGenerator<LogRow, void, void>>;

describe.each(Object.entries(datasets))("%s", (_, run) => {
  const collect = async (more: object) => {
    const rows: LogRow[] = [];
    for await (const row of run(more)) rows.push({ ...row, time: 0 });
    return rows.sort((a, b) => a.idx - b.idx);
  };

  it("draws a fresh seed, says it in each row, and repeats the rows with it", async () => {
    const rows = await collect({});
    const seed = parseSeed(rows[0]!.settings!.seed);
    expect(await collect({ seed })).toEqual(rows);
    expect((await collect({}))[0]!.settings!.seed).not.toBe(rows[0]!.settings!.seed);
  });

  it("goes on with the seed of the log, and refuses another", async () => {
    const log = file("run.tsv");
    await collect({ log, max: 5 });
    const rows = await collect({ log });
    const seed = parseSeed((await readLog(log))[0]!.settings!.seed);
    expect(rows).toEqual(await collect({ seed }));
    await expect(collect({ log, seed: 0 })).rejects.toMatchObject({ code: "resume" });
  });

  it("shards draw a seed each, and merge", async () => {
    const logs = [0, 1, 2].map((index) => file(`${index}.tsv`));
    for (const [index, log] of logs.entries()) await collect({ log, shard: { index, count: 3 } });
    const rows = await mergeLogs(logs);
    expect(new Set(rows.map((row) => row.settings!.seed)).size).toBe(3);
    const whole = file("all.tsv");
    await writeLog(whole, rows);
    expect(await readLog(whole)).toEqual(rows);
    await expect(collect({ log: whole })).rejects.toMatchObject({ code: "resume" });
  });
});

it("preflight draws no noise that a later run could be tuned to", async () => {
  const seen = [recorder(), recorder()];
  for (const { classify } of seen) await preflight(classify, images, { sigma: 0.5, n: 100 });
  expect(seen[0]!.seen).not.toEqual(seen[1]!.seen);
});
