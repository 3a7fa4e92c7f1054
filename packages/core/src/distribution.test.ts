import { describe, expect, test } from "vitest";
import fixture from "./__fixtures__/normals.json" with { type: "json" };
import { foldIn, key } from "./key.ts";
import { laplace } from "./laplace.ts";
import { normal } from "./normal.ts";
import { uniform } from "./uniform.ts";

// Fixed seeds: these tests pass or fail for good. Thresholds are five standard errors, or the
// 1 - 1e-6 quantile of the statistic.

const size = 2_000_000;
const edges = {
  normal: fixture.quantiles256,
  uniform: Array.from({ length: 255 }, (_, k) => (k + 1) / 256),
  laplace: Array.from({ length: 255 }, (_, k) => {
    const p = (k + 1) / 256;
    return p < 0.5 ? Math.log(2 * p) : -Math.log(2 * (1 - p));
  }),
};
const draws = { normal, uniform, laplace };
/** Exact raw moments 1 to 8: the last four give the variances of the sample moments. */
const moments = {
  normal: [0, 1, 0, 3, 0, 15, 0, 105],
  uniform: [1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6, 1 / 7, 1 / 8, 1 / 9],
  laplace: [0, 2, 0, 24, 0, 720, 0, 40320],
};

describe.each(["normal", "uniform", "laplace"] as const)("%s", (name) => {
  const values = draws[name](key("distribution"), new Float64Array(size), { index: 1 });

  test("moments 1 to 4 agree", () => {
    const sums = [0, 0, 0, 0];
    for (const value of values)
      for (let k = 0, power = value; k < 4; k++, power *= value) sums[k]! += power;
    sums.forEach((sum, k) => {
      const expected = moments[name][k]!;
      const variance = moments[name][2 * k + 1]! - expected ** 2;
      const error = Math.abs(sum / size - expected);
      expect(error, `moment ${k + 1}`).toBeLessThan(5 * Math.sqrt(variance / size));
    });
  });

  test("256 equally likely bins fill evenly, and the distribution function agrees at their edges", () => {
    const counts = binCounts(values, edges[name]);
    const expected = size / 256;
    const chiSquare = counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeGreaterThan(255 - 4.5 * Math.sqrt(510));
    expect(chiSquare).toBeLessThan(255 + 5.5 * Math.sqrt(510));
    let below = 0;
    let distance = 0;
    counts.forEach((n, k) => {
      below += n;
      distance = Math.max(distance, Math.abs(below / size - (k + 1) / 256));
    });
    // Kolmogorov: P(sqrt(n) D > 2.7) = 9e-7
    expect(Math.sqrt(size) * distance).toBeLessThan(2.7);
    expect(Math.sqrt(size) * distance).toBeGreaterThan(0.25);
  });

  test.each([1, 2, 3, 4, 5, 8, 1024, 3072])("elements %i apart are uncorrelated", (lag) => {
    expect(Math.abs(correlation(values, values.subarray(lag)))).toBeLessThan(5);
    const squares = values.map((v) => v * v);
    expect(Math.abs(correlation(squares, squares.subarray(lag)))).toBeLessThan(5);
  });
});

describe("streams are independent", () => {
  const base = key(11);
  const size = 500_000;
  const reference = normal(base, new Float64Array(size));
  const others = {
    "the next index": normal(base, new Float64Array(size), { index: 1 }),
    "an index 2^32 on": normal(base, new Float64Array(size), { index: 2 ** 32 }),
    "the next seed": normal(key(12), new Float64Array(size)),
    "a seed 2^32 on": normal(key(2 ** 32 + 11), new Float64Array(size)),
    "a derived key": normal(foldIn(base, 0), new Float64Array(size)),
    "its uniforms": uniform(base, new Float64Array(size)).map((u) => u - 0.5),
    "its Laplace variates": laplace(base, new Float64Array(size)),
  };

  test.each(Object.entries(others))("%s", (_, other) => {
    expect(Math.abs(correlation(reference, other))).toBeLessThan(5);
    const square = (v: number) => v * v;
    expect(Math.abs(correlation(reference.map(square), other.map(square)))).toBeLessThan(5);
  });

  test("first elements over 200,000 indices are as normal as the elements of one draw", () => {
    const firsts = new Float64Array(200_000);
    const one = new Float64Array(1);
    for (let index = 0; index < firsts.length; index++)
      firsts[index] = normal(base, one, { index })[0]!;
    const expected = firsts.length / 256;
    const counts = binCounts(firsts, fixture.quantiles256);
    const chiSquare = counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(Math.abs(chiSquare - 255)).toBeLessThan(5.5 * Math.sqrt(510));
    expect(Math.abs(correlation(firsts, firsts.subarray(1)))).toBeLessThan(5);
  });
});

/** How many values lie below the first edge, between the first two, …, above the last. */
function binCounts(values: Float64Array, edges: readonly number[]): number[] {
  const counts = new Array<number>(edges.length + 1).fill(0);
  for (const value of values) {
    let low = 0;
    let high = edges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value < edges[middle]!) high = middle;
      else low = middle + 1;
    }
    counts[low]!++;
  }
  return counts;
}

/** The sample correlation of two series, in standard errors. */
function correlation(a: Float64Array, b: Float64Array): number {
  const n = Math.min(a.length, b.length);
  const sums = [0, 0, 0, 0, 0] as [number, number, number, number, number];
  for (let i = 0; i < n; i++) {
    sums[0] += a[i]!;
    sums[1] += b[i]!;
    sums[2] += a[i]! * a[i]!;
    sums[3] += b[i]! * b[i]!;
    sums[4] += a[i]! * b[i]!;
  }
  const [meanA, meanB, squareA, squareB, product] = sums.map((sum) => sum / n) as typeof sums;
  const spread = Math.sqrt((squareA - meanA ** 2) * (squareB - meanB ** 2));
  return ((product - meanA * meanB) / spread) * Math.sqrt(n);
}
