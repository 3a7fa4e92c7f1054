import { describe, expect, test } from "vitest";
import { type NoiseOptions, noiseSource } from "./noise.ts";
import type { NoiseAddress, NoiseDistribution } from "./noise-source.ts";

const d = 300;
const x = Float32Array.from({ length: d }, (_, i) => i / d);

function noisy(
  count: number,
  first = 0,
  changed: Partial<NoiseOptions & NoiseAddress> = {},
): Float32Array {
  const out = new Float32Array(count * d);
  const { image = 3, stage = "estimation", ...options } = changed;
  const source = noiseSource({ seed: 5, sigma: 0.5, ...options });
  source.fill(out, x, { image, stage, first, count });
  return out;
}

describe.each<NoiseDistribution>(["gaussian", "uniform", "laplace"])("%s noise", (distribution) => {
  const options = { distribution };

  test("does not depend on how samples are batched", () => {
    const whole = noisy(20, 0, options);
    for (const size of [1, 3, 7]) {
      const pieces = new Float32Array(20 * d);
      for (let first = 0; first < 20; first += size) {
        const count = Math.min(size, 20 - first);
        pieces.set(noisy(count, first, options), first * d);
      }
      expect(pieces).toEqual(whole);
    }
  });

  test("has mean x and standard deviation sigma", () => {
    const count = 2000;
    const out = noisy(count, 0, options);
    let mean = 0;
    let square = 0;
    for (let i = 0; i < out.length; i++) {
      const z = (out[i]! - x[i % d]!) / 0.5;
      mean += z / out.length;
      square += (z * z) / out.length;
    }
    // 600,000 draws: standard errors 0.0013 and at most 0.0029 (kurtosis 6 of Laplace), five of each
    expect(Math.abs(mean)).toBeLessThan(0.0065);
    expect(Math.abs(square - 1)).toBeLessThan(0.0145);
  });
});

test("uniform noise stays within sqrt(3) sigma and reaches it", () => {
  const out = noisy(1000, 0, { distribution: "uniform" });
  const z = out.map((value, i) => Math.abs(value - x[i % d]!) / (0.5 * Math.sqrt(3)));
  const largest = z.reduce((a, b) => Math.max(a, b));
  expect(largest).toBeLessThanOrEqual(1 + 1e-6);
  expect(largest).toBeGreaterThan(0.9999);
});

test.each([{ seed: 6 }, { seed: 0 }, { seed: "5" }, { image: 4 }, { stage: "selection" as const }])(
  "noise of %j is uncorrelated with that of another address",
  (changed) => {
    const a = noisy(1000);
    const b = noisy(1000, 0, changed);
    let product = 0;
    for (let i = 0; i < a.length; i++) product += (a[i]! - x[i % d]!) * (b[i]! - x[i % d]!);
    expect(Math.abs(product / (0.25 * a.length)) * Math.sqrt(a.length)).toBeLessThan(5);
  },
);

test("sample numbers beyond 2^32 are samples of their own", () => {
  expect(noisy(1, 2 ** 32)).not.toEqual(noisy(1, 0));
  expect(noisy(2, 2 ** 40 + 1).slice(d)).toEqual(noisy(1, 2 ** 40 + 2));
});

test("the first noisy pixels never change", () => {
  const first = (distribution: NoiseDistribution) => [...noisy(1, 7, { distribution }).slice(0, 3)];
  expect(first("gaussian")).toMatchInlineSnapshot(`
    [
      0.06947687268257141,
      1.4407306909561157,
      0.3618989884853363,
    ]
  `);
  expect(first("uniform")).toMatchInlineSnapshot(`
    [
      -0.21195705235004425,
      -0.7519421577453613,
      0.5707536339759827,
    ]
  `);
  expect(first("laplace")).toMatchInlineSnapshot(`
    [
      -0.06347298622131348,
      -1.2831753492355347,
      -0.22862818837165833,
    ]
  `);
});

test.each([
  [{ sigma: 0 }, "noiseSource: sigma must be a finite number above 0, got 0"],
  [{ sigma: Number.NaN }, "noiseSource: sigma must be a finite number above 0, got NaN"],
  [{ image: -1 }, "noiseSource.fill: image must be an integer of at least 0, got -1"],
  [
    { stage: "test" as never },
    'noiseSource.fill: stage must be "selection" or "estimation", got "test"',
  ],
  [
    { distribution: "cauchy" as never },
    'noiseSource: distribution must be "gaussian", "uniform" or "laplace", got "cauchy"',
  ],
  [
    { seed: 0.5 },
    "key: the seed must be an integer in [0, 2^53), a bigint in [0, 2^64) or a string, got 0.5",
  ],
])("%j is refused", (changed, message) => {
  expect(() => noisy(1, 0, changed)).toThrow(message);
});

test("an output that is too short is refused", () => {
  const source = noiseSource({ seed: 0, sigma: 1 });
  const fill = (first: number, count: number) =>
    source.fill(new Float32Array(d), x, { image: 0, stage: "selection", first, count });
  expect(() => fill(0, 2)).toThrow("out must hold 2 x 300 elements, got 300");
  expect(() => fill(-1, 1)).toThrow("first must be an integer of at least 0, got -1");
});
