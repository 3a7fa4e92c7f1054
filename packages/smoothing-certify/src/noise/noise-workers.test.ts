import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DmaeError } from "@dmae/core";
import { afterAll, describe, expect, test } from "vitest";
import { certify } from "../procedures/certify.ts";
import { localNoise, type NoiseSettings } from "./noise-settings.ts";
import type { NoiseAddress } from "./noise-source.ts";
import type { NoiseThreads } from "./noise-threads.ts";
import { AheadReader, noiseInWorkers } from "./noise-workers.ts";

const d = 3072;
const x = Float32Array.from({ length: d }, (_, i) => (i % 256) / 255);
const at = (first: number, count: number, image = 0): NoiseAddress => ({
  image,
  stage: "estimation",
  first,
  count,
});

const settings: NoiseSettings[] = [
  { seed: 3, sigma: 0.25 },
  { seed: "a name", sigma: 0.25, distribution: "laplace" },
  { seed: 12n, sigma: 0.5, sound: true },
];

describe.each(settings.map((setting, i) => [i, setting] as const))("settings %i", (_, setting) => {
  const local = localNoise("test", setting);

  test("has the bits of the caller's thread, in order, out of order, in pieces", async () => {
    const noise = await noiseInWorkers(setting, { workers: 3 });
    expect(noise.workers).toBe(3);
    const other = x.map((v) => 1 - v).map((v) => Math.round(v * 255) / 255);
    const asked: [Float32Array, NoiseAddress][] = [
      ...[0, 64, 128, 192].map((first) => [x, at(first, 64)] as [Float32Array, NoiseAddress]),
      [x, at(256, 10)], // the beginning of what is drawn ahead
      [x, at(266, 100)], // its rest, and more
      [x, at(366, 64)],
      [x, at(400, 50)], // not in order
      [other, at(450, 50)], // in order but another image
      [other, { ...at(500, 50), stage: "selection" }],
      [x, at(0, 40, 1)],
    ];
    for (const [image, address] of asked) {
      const out = new Float32Array(address.count * d);
      const expected = new Float32Array(address.count * d);
      await noise.fill(out, image, address);
      await local.fill(expected, image, address);
      expect(Buffer.compare(Buffer.from(out.buffer), Buffer.from(expected.buffer))).toBe(0);
    }
    await noise.close();
  });

  test("carries generator and distance of the noise it stands for", async () => {
    const noise = await noiseInWorkers(setting, { workers: 0 });
    expect(noise.generator).toBe(local.generator);
    expect(noise.totalVariation?.(1000)).toBe(local.totalVariation?.(1000));
  });
});

test("draws no sample twice while it reads ahead", async () => {
  const drawn: number[] = [];
  const threads: NoiseThreads = {
    count: 3,
    async draw(_, { first, count }) {
      for (let i = 0; i < count; i++) drawn.push(first + i);
      return new Float32Array(count * d).fill(first);
    },
    recycle() {},
    hold() {},
    unhold() {},
    async close() {},
  };
  const reader = new AheadReader(localNoise("test", { seed: 0, sigma: 1 }), threads);
  for (const [first, count] of [
    [0, 64],
    [64, 64],
    [128, 64],
    [192, 10],
    [202, 64],
  ] as const)
    await reader.fill(new Float32Array(count * d), x, at(first, count));
  // all that was asked for, and one batch ahead
  expect(drawn.sort((a, b) => a - b)).toEqual(Array.from({ length: 266 + 64 }, (_, i) => i));
});

describe("threads", () => {
  const opened: { close(): Promise<void> }[] = [];
  afterAll(async () => void (await Promise.all(opened.map((noise) => noise.close()))));
  const open = async (setting: NoiseSettings, workers: number) => {
    const noise = await noiseInWorkers(setting, { workers });
    opened.push(noise);
    return noise;
  };

  test("fills asked for at once do not mix", async () => {
    const noise = await open({ seed: 1, sigma: 1 }, 2);
    const local = localNoise("test", { seed: 1, sigma: 1 });
    const addresses = [at(0, 50), at(50, 50), at(100, 60), at(7, 40, 2), at(47, 40, 2)];
    const outs = addresses.map(({ count }) => new Float32Array(count * d));
    await Promise.all(addresses.map((address, i) => noise.fill(outs[i]!, x, address)));
    for (const [i, address] of addresses.entries()) {
      const expected = new Float32Array(address.count * d);
      await local.fill(expected, x, address);
      expect(outs[i]!.findIndex((v, k) => v !== expected[k])).toBe(-1);
    }
  });

  test("after close, during draws too, the caller's thread draws", async () => {
    const noise = await open({ seed: 1, sigma: 1 }, 2);
    const out = new Float32Array(100 * d);
    const filled = noise.fill(out, x, at(0, 100));
    await noise.close();
    await filled;
    const expected = new Float32Array(100 * d);
    await localNoise("test", { seed: 1, sigma: 1 }).fill(expected, x, at(0, 100));
    expect(out.findIndex((v, k) => v !== expected[k])).toBe(-1);
    expect(noise.workers).toBe(0);
    await noise.fill(out, x, at(3, 2));
    expect(out[0]).toBe(expected[3 * d]);
  });

  test("errors have the types and words of the caller's thread", async () => {
    const noise = await open({ seed: 1, sigma: 0.5, sound: true }, 1);
    const off = x.map((v) => v + 0.001);
    const fill = noise.fill(new Float32Array(100 * d), off, at(0, 100));
    await expect(fill).rejects.toThrow(DmaeError);
    await expect(noise.fill(new Float32Array(100 * d), off, at(0, 100))).rejects.toThrow(
      "soundNoise: pixels must be k / 255",
    );
    await expect(noise.fill(new Float32Array(d), x, at(0, 2))).rejects.toThrow(
      "noiseInWorkers.fill: out must hold 2 x 3072 elements, got 3072",
    );
    await expect(noise.fill(new Float32Array(d), x, at(-1, 1))).rejects.toThrow("first must be");
    await expect(noiseInWorkers({ seed: 0, sigma: 1 }, { workers: 1.5 })).rejects.toThrow(
      "noiseInWorkers: workers must be an integer of at least 0, got 1.5",
    );
    await expect(noiseInWorkers({ seed: 0, sigma: 20, sound: true })).rejects.toThrow("at most 16");
  });
});

test("a process with idle threads ends by itself", () => {
  const entry = fileURLToPath(new URL("../../dist/workers.js", import.meta.url));
  const script = `
    const { noiseInWorkers } = await import(${JSON.stringify(entry)});
    const noise = await noiseInWorkers({ seed: 0, sigma: 1 }, { workers: 2 });
    const x = new Float32Array(3072), out = new Float32Array(100 * 3072);
    const address = { image: 0, stage: "estimation", count: 100 };
    for (const first of [0, 100]) await noise.fill(out, x, { ...address, first });
    console.log(noise.workers, out[0]);`;
  const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    timeout: 30_000,
    encoding: "utf8",
  });
  const expected = new Float32Array(3072);
  void localNoise("test", { seed: 0, sigma: 1 }).fill(expected, new Float32Array(3072), at(100, 1));
  expect([status, stdout.trim()]).toEqual([0, `2 ${expected[0]}`]);
});

test("certify counts the same votes with threads as without, and sound noise as its own", async () => {
  // A stand-in for a model: row sums of a weighting that no symmetry helps.
  const classify = (batch: Float32Array, [rows = 0]: readonly number[]) =>
    Int32Array.from({ length: rows }, (_, row) => {
      let sum = 0;
      for (let i = 0; i < d; i++) sum += batch[row * d + i]! * Math.sin(i);
      return sum > 0.5 ? 1 : 0;
    });
  for (const setting of [
    { seed: 4, sigma: 0.25 },
    { seed: 4, sigma: 0.25, sound: true },
  ]) {
    const noise = await noiseInWorkers(setting, { workers: 2 });
    const options = { n0: 60, n: 700, alpha: 0.001, batchSize: 100, numClasses: 2, shape: [d] };
    const alone = await certify(classify, x, { ...options, ...setting });
    const threaded = await certify(classify, x, { ...options, sigma: 0.25, noise });
    expect(threaded.counts).toEqual(alone.counts);
    expect(threaded.counts0).toEqual(alone.counts0);
    expect(threaded.pLower).toBe(alone.pLower);
    expect(Math.min(...alone.counts)).toBeGreaterThan(0);
    await noise.close();
  }
});
