import { foldIn, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { describe, expect, test } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { noiseSource } from "../noise/noise.ts";
import type { NoiseDistribution } from "../noise/noise-source.ts";
import { type Norm, type NormRadiusOptions, radiusInNorm } from "./noises-and-norms.ts";
import { normalQuantile } from "./normal.ts";
import { certifiedRadius } from "./radius.ts";

const radius = (
  distribution: NoiseDistribution,
  norm: Norm,
  pLower: number,
  more: Partial<NormRadiusOptions> = {},
) => radiusInNorm({ distribution, norm, pLower, sigma: 0.5, dimension: 3072, ...more }).radius;

const laws = ["gaussian", "uniform", "laplace"] as const;
const norms = ["l1", "l2", "linf"] as const;

describe("values by hand, just below the formulas", () => {
  const [a, b, d] = [Math.sqrt(3) / 2, Math.SQRT1_2 / 2, 3072];
  const cases: [NoiseDistribution, Norm, (p: number) => number][] = [
    ["gaussian", "l2", (p) => 0.5 * normalQuantile(p)],
    ["gaussian", "l1", (p) => 0.5 * normalQuantile(p)],
    ["gaussian", "linf", (p) => (0.5 * normalQuantile(p)) / Math.sqrt(d)],
    ["uniform", "l1", (p) => 2 * a * (p - 0.5)],
    ["uniform", "l2", (p) => (2 * a * (p - 0.5)) / Math.sqrt(d)],
    ["uniform", "linf", (p) => 2 * a * -Math.expm1(Math.log(1.5 - p) / d)],
    ["laplace", "l1", (p) => -b * Math.log(2 * (1 - p))],
    ["laplace", "l2", (p) => (-b * Math.log(2 * (1 - p))) / Math.sqrt(d)],
    ["laplace", "linf", (p) => (-b * Math.log(2 * (1 - p))) / d],
  ];
  test.each(cases)("%s noise, %s", (law, norm, formula) => {
    for (const p of [0.501, 0.6, 0.9, 0.99, 0.999999]) {
      expectClose([radius(law, norm, p)], [formula(p)], { relative: 1e-12 });
      expect(radius(law, norm, p)).toBeLessThan(formula(p));
    }
  });
});

test("Gaussian l2 is certifiedRadius", () => {
  for (const p of [0.5, 0.51, 0.7, 0.999])
    expectClose([radius("gaussian", "l2", p)], [certifiedRadius(p, 0.5)], { relative: 1e-14 });
});

test.each(laws.flatMap((law) => norms.map((norm) => [law, norm] as const)))(
  "%s noise, %s: 0 at and below 1/2, growing with pLower, linear in sigma",
  (law, norm) => {
    for (const p of [0, 0.3, 0.5]) expect(radius(law, norm, p)).toBe(0);
    const grid = [0.5001, 0.6, 0.7, 0.8, 0.9, 0.99, 0.9999].map((p) => radius(law, norm, p));
    expect(grid.every((r, i) => r > (grid[i - 1] ?? 0))).toBe(true);
    expectClose([radius(law, norm, 0.8, { sigma: 2 })], [4 * radius(law, norm, 0.8)], {
      relative: 1e-14,
    });
  },
);

test("a bound on the runner-up enlarges the radius and never counts for more than 1 - pLower", () => {
  for (const law of laws)
    for (const norm of norms) {
      const one = radius(law, norm, 0.6);
      expect(radius(law, norm, 0.6, { pUpper: 0.9 })).toBe(one);
      expect(radius(law, norm, 0.6, { pUpper: 0.1 })).toBeGreaterThan(one);
      expect(radius(law, norm, 0.4, { pUpper: 0.2 })).toBeGreaterThan(0);
      expect(radius(law, norm, 0.4, { pUpper: 0.4 })).toBe(0);
    }
  const laplace = Math.SQRT1_2 * 0.5 * Math.max(Math.log(6) / 2, -Math.log(0.5));
  expectClose([radius("laplace", "l1", 0.6, { pUpper: 0.1 })], [laplace], { relative: 1e-14 });
});

test("every statement but the approximate one is exact, and names its source", () => {
  for (const distribution of laws)
    for (const norm of norms) {
      const result = radiusInNorm({ distribution, norm, pLower: 0.9, sigma: 1, dimension: 10 });
      expect([result.exact, result.norm]).toEqual([true, norm]);
      expect(result.source).toMatch(/20(19|20)/);
    }
  const rough = { distribution: "laplace", norm: "linf", pLower: 0.9, sigma: 1 } as const;
  const { exact, radius } = radiusInNorm({ ...rough, dimension: 100, approximate: true });
  expect(exact).toBe(false);
  expectClose([radius], [(Math.SQRT1_2 * normalQuantile(0.9)) / 10], { relative: 1e-12 });
});

// The worst classifiers: half-spaces for Gaussian and uniform noise in one coordinate, a likelihood
// ratio's level set for Laplace noise. At the radius their probability is just 1/2 or more; a little
// beyond it falls below: the radii are right, and no larger one would be.
describe("the worst classifier holds at the radius and fails beyond it", () => {
  const p = 0.9;
  const sigma = 0.5;
  const count = 400_000;

  /** The share of noisy copies of 0 shifted by `shift` that lie below `threshold`. */
  function share(distribution: NoiseDistribution, shift: number, threshold: number): number {
    const x = Float32Array.of(shift);
    const out = new Float32Array(count);
    const source = noiseSource({ seed: 9, sigma, distribution });
    source.fill(out, x, { image: 0, stage: "estimation", first: 0, count });
    return out.filter((value) => value < threshold).length / count;
  }

  const margin = 5 * Math.sqrt(0.25 / count);
  const quantile = {
    gaussian: sigma * normalQuantile(p),
    uniform: Math.sqrt(3) * sigma * (2 * p - 1),
    laplace: -Math.SQRT1_2 * sigma * Math.log(2 * (1 - p)),
  };

  test.each(laws)("%s noise in l1", (law) => {
    const r = radiusInNorm({ distribution: law, norm: "l1", pLower: p, sigma }).radius;
    expect(Math.abs(share(law, 0, quantile[law]) - p)).toBeLessThan(margin);
    expect(Math.abs(share(law, r, quantile[law]) - 0.5)).toBeLessThan(margin);
    expect(share(law, 1.05 * r, quantile[law])).toBeLessThan(0.5);
  });

  test("uniform noise in linf, where the part of the cube left behind is lost", () => {
    const dimension = 4;
    const a = Math.sqrt(3) * sigma;
    const r = radiusInNorm({
      distribution: "uniform",
      norm: "linf",
      pLower: p,
      sigma,
      dimension,
    }).radius;
    // the class fills the cube but 1 - p of it, cut out of the part that the shifted cube keeps
    const next = generator(foldIn(key(1), "cube"));
    const kept = (1 - r / (2 * a)) ** dimension;
    let inside = 0;
    for (let i = 0; i < count; i++) {
      let overlap = true;
      for (let k = 0; k < dimension; k++) if (-a + 2 * a * next() + r >= a) overlap = false;
      if (overlap && next() >= (1 - p) / kept) inside++;
    }
    expect(Math.abs(inside / count - 0.5)).toBeLessThan(margin);
  });
});

test.each([
  [{ pLower: 1.5 }, "radiusInNorm: pLower must lie in [0, 1], got 1.5"],
  [{ pLower: Number.NaN }, "radiusInNorm: pLower must lie in [0, 1], got NaN"],
  [{ pUpper: -1 }, "radiusInNorm: pUpper must lie in [0, 1], got -1"],
  [{ sigma: 0 }, "radiusInNorm: sigma must be a finite number above 0, got 0"],
  [{ norm: "l0" as never }, 'radiusInNorm: norm must be one of l2, l1, linf, got "l0"'],
  [
    { distribution: "cauchy" as never },
    'radiusInNorm: distribution must be one of gaussian, uniform, laplace, got "cauchy"',
  ],
  [
    { norm: "linf" as const },
    "radiusInNorm: a radius of gaussian noise in linf depends on the dimension",
  ],
  [
    { norm: "linf" as const, dimension: 0 },
    "radiusInNorm: dimension must be an integer of at least 1, got 0",
  ],
])("%j is refused", (changed, message) => {
  expect(() => radiusInNorm({ pLower: 0.9, sigma: 1, norm: "l2", ...changed })).toThrow(message);
});
