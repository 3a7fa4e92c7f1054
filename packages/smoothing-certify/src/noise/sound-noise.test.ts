import { foldIn, key, uniform } from "@dmae/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import fixture from "../__fixtures__/thresholds.json" with { type: "json" };
import { gridStep, gridTable } from "./grid-table.ts";
import type { NoiseAddress } from "./noise-source.ts";
import { normalThresholds } from "./normal-thresholds.ts";
import { soundNoise } from "./sound-noise.ts";

describe.each(fixture)(
  "thresholds at sigma = $sigma",
  ({ sigma, reach, thresholds, totalVariation }) => {
    const law = normalThresholds(sigma, 255);

    test("are the exactly rounded integers, symmetric and increasing", () => {
      expect(law.reach).toBe(reach);
      expect(law.thresholds.length).toBe(2 * reach + 1);
      for (const [i, exact] of Object.entries(thresholds))
        expect(BigInt(law.thresholds[reach + Number(i)]!)).toBe(BigInt(exact));
      for (let i = 0; i < reach; i++)
        expect(law.thresholds[reach - 1 - i]! + law.thresholds[reach + i]!).toBe(2 ** 53);
      expect(law.thresholds.every((t, i) => i === 0 || t >= law.thresholds[i - 1]!)).toBe(true);
    });

    test("have the total variation distance computed in 60 digits, not less and hardly more", () => {
      expect(law.totalVariation).toBeGreaterThanOrEqual(totalVariation);
      expect(law.totalVariation).toBeLessThanOrEqual(totalVariation * (1 + 1e-5) + 1e-19);
    });
  },
);

test.each([1e-6, 0.0003, 0.25, 15.4, 15.5, 16])(
  "at sigma = %s each integer finds its step, tails and both sides of every threshold included",
  (sigma) => {
    const table = gridTable(sigma);
    const { thresholds, reach, pixels } = table;
    const wrong: number[] = [];
    for (const [i, t] of thresholds.entries()) {
      if (t < 2 ** 53 && gridStep(t / 2 ** 53, table) <= i) wrong.push(i);
      if (t > (thresholds[i - 1] ?? 0) && gridStep((t - 1) / 2 ** 53, table) !== i) wrong.push(i);
    }
    expect(wrong).toEqual([]);
    // both ends of the law: black with the lowest step, white with the highest
    expect(pixels[gridStep(2 ** -54, table)]).toBe(Math.fround((0 - reach) / 255));
    expect(pixels[255 + gridStep(1 - 2 ** -53, table)]).toBe(Math.fround((255 + reach) / 255));
  },
);

const d = 256;
const x = Float32Array.from({ length: d }, (_, i) => i / 255);
const settings = { seed: 5, sigma: 0.5 };
const address = { image: 3, stage: "estimation", first: 0, count: 1 } as const;

type Changed = Partial<typeof settings & NoiseAddress>;

function noisy(count: number, first = 0, changed: Changed = {}): Float32Array {
  const out = new Float32Array(count * d);
  const { image = 3, stage = "estimation", ...options } = changed;
  const noise = soundNoise({ ...settings, ...options });
  noise.fill(out, x, { image, stage, first, count });
  return out;
}

/** The whole numbers that the noise added; fails where a pixel is off the grid. */
function steps(out: Float32Array): Int32Array {
  const n = Int32Array.from(out, (value) => Math.round(value * 255));
  expect(out.findIndex((value, i) => Math.fround(n[i]! / 255) !== value)).toBe(-1);
  return n.map((value, i) => value - (i % d));
}

test("every step is the number of thresholds that do not exceed the 53-bit integer", () => {
  for (const sigma of [0.0005, 0.01, 0.25, 3]) {
    const law = normalThresholds(sigma, 255);
    const got = steps(noisy(20, 40, { sigma }));
    for (let sample = 0; sample < 20; sample++) {
      const stream = foldIn(foldIn(key(5), 3), "estimation");
      const u = uniform(stream, new Float64Array(d), { index: 40 + sample });
      const expected = Array.from(u, (value) => {
        const k = Math.floor(value * 2 ** 53);
        return law.thresholds.findIndex((t) => t > k) - law.reach;
      });
      expect([...got.subarray(sample * d, (sample + 1) * d)]).toEqual(expected);
    }
  }
});

test("steps follow the rounded normal: chi-square over all values at sigma = 0.01", () => {
  const counts = new Map<number, number>();
  const samples = 2000;
  for (const j of steps(noisy(samples, 0, { sigma: 0.01 })))
    counts.set(j, (counts.get(j) ?? 0) + 1);
  const { thresholds, reach } = normalThresholds(0.01, 255);
  let chiSquare = 0;
  let bins = 0;
  for (let j = -reach; j <= reach; j++) {
    const below = j === -reach ? 0 : thresholds[j + reach - 1]!;
    const expected = ((thresholds[j + reach]! - below) / 2 ** 53) * samples * d;
    if (expected < 10) continue;
    chiSquare += ((counts.get(j) ?? 0) - expected) ** 2 / expected;
    bins++;
  }
  expect(bins).toBeGreaterThan(15);
  expect(Math.abs(chiSquare - bins)).toBeLessThan(5 * Math.sqrt(2 * bins));
});

test("batches, samples and addresses: sample i is the same in any batch, others differ", () => {
  const whole = noisy(12, 5);
  for (const size of [1, 5]) {
    const pieces = new Float32Array(12 * d);
    for (let first = 0; first < 12; first += size)
      pieces.set(noisy(Math.min(size, 12 - first), 5 + first), first * d);
    expect(pieces).toEqual(whole);
  }
  expect(noisy(1, 6)).not.toEqual(noisy(1, 5));
  for (const changed of [{ seed: 6 }, { image: 4 }, { stage: "selection" as const }])
    expect(noisy(1, 5, changed)).not.toEqual(noisy(1, 5));
});

test("the first steps never change", () => {
  expect([...steps(noisy(1, 7)).slice(0, 8)]).toMatchInlineSnapshot(`
    [
      -40,
      -194,
      119,
      148,
      5,
      -49,
      -144,
      95,
    ]
  `);
});

test("soundNoise says its name and its distance", () => {
  const noise = soundNoise(settings);
  expect(noise.generator).toBe("philox4x32-10/gaussian-grid-255");
  const one = normalThresholds(0.5, 255).totalVariation;
  expect(noise.totalVariation(150_528)).toBeGreaterThanOrEqual(150_528 * one);
  expect(noise.totalVariation(150_528)).toBeLessThan(6e-9);
  expect(noise.totalVariation(1e15)).toBe(1);
  for (const bad of [0, -1, 1.5, Number.NaN])
    expect(() => noise.totalVariation(bad)).toThrow("dimension must be an integer of at least 1");
});

test("pixels that float32 rounds in other ways are taken for the grid value", () => {
  const other = x.map((value, i) => Math.fround(i * Math.fround(1 / 255)) || value);
  expect(other).not.toEqual(x);
  const out = new Float32Array(d);
  soundNoise(settings).fill(out, other, { ...address, first: 5 });
  expect(out).toEqual(noisy(1, 5));
});

test("a pixel off the grid is refused, with its place", () => {
  const bad = fc.oneof(
    fc.constantFrom(Number.NaN, -1 / 255, 256 / 255, 0.5, 1e-4, 3, Number.POSITIVE_INFINITY),
    fc.integer({ min: 0, max: 254 }).map((k) => (k + 0.3) / 255),
  );
  fc.assert(
    fc.property(bad, fc.nat(d - 1), (value, at) => {
      const image = x.slice();
      image[at] = value;
      expect(() => soundNoise(settings).fill(new Float32Array(d), image, address)).toThrow(
        `soundNoise: pixels must be k / 255 with k = 0 … 255, got ${image[at]} at element ${at}; add noise`,
      );
    }),
  );
});

test("bad settings are refused", () => {
  expect(() => soundNoise({ seed: 0, sigma: 0 })).toThrow(
    "soundNoise: sigma must be a finite number above 0, got 0",
  );
  expect(() => soundNoise({ seed: 0, sigma: 64 })).toThrow(
    "soundNoise: sigma must be at most 16, got 64; pixels lie in [0, 1]",
  );
  const fill = () => soundNoise(settings).fill(new Float32Array(d), x, { ...address, image: -1 });
  expect(fill).toThrow("soundNoise.fill: image must be an integer of at least 0, got -1");
});
