import { describe, expect, it } from "vitest";
import { holmRejects } from "./holm.ts";
import { fewestSamples, quantileRanks } from "./order-statistics.ts";

// SciPy 1.17.1: the largest k with binom.cdf(k - 1, n, norm.cdf(norm.ppf(q) - shift)) <= alpha, and n + 1 less
// that of 1 - q.
const fromSciPy = [
  [1000, 0.5, 0.5, 0.0005, 261, 740],
  [10_000, 0.5, 1, 0.0005, 1467, 8534],
  [10_000, 0.5, 0.5, 0.0005, 2934, 7067],
  [2000, 0.9, 0.4, 0.005, 1576, 1932],
  [500, 0.5, 0, 0.025, 228, 273],
  [100, 0.5, 1.2, 0.0005, 3, 98],
  [10_000, 0.5, 3, 0.000125, 2, 9999],
] as const;

describe("quantileRanks", () => {
  it.each(fromSciPy)(
    "n %i, q %d, shift %d, alpha %d: %i and %i",
    (n, quantile, shift, alpha, lower, upper) => {
      expect(quantileRanks({ n, quantile, shift, alpha })).toEqual({ lower, upper });
    },
  );

  it("has no bound where the extremes do not suffice, and fewestSamples says how many do", () => {
    const settings = { quantile: 0.5, shift: 2, alpha: 0.0005 };
    const fewest = fewestSamples(settings); // ln 0.0005 / ln Phi(2) = 330.4
    expect(fewest).toBeGreaterThanOrEqual(331);
    expect(fewest).toBeLessThanOrEqual(333);
    expect(quantileRanks({ ...settings, n: fewest })).toEqual({ lower: 1, upper: fewest });
    expect(quantileRanks({ ...settings, n: 330 })).toEqual({ lower: 0, upper: 331 });
  });

  it("moves outwards by the distance between the laws", () => {
    const settings = { n: 10_000, quantile: 0.5, shift: 1, alpha: 0.0005 };
    const { lower, upper } = quantileRanks({ ...settings, totalVariation: 0.01 });
    expect(1467 - lower).toBeGreaterThan(95); // about 0.01 n
    expect(1467 - lower).toBeLessThan(105);
    expect(upper - 8534).toBe(1467 - lower);
    expect(quantileRanks({ ...settings, totalVariation: 0.2 })).toEqual({
      lower: 0,
      upper: 10_001,
    });
  });
});

describe("holmRejects", () => {
  it("compares the k-th smallest with alpha / (N - k + 1) until one is larger", () => {
    // by hand, alpha 0.05: 0.01 <= 0.0125, 0.015 <= 0.01667, 0.03 > 0.025, so 0.04 <= 0.05 is not reached
    expect([...holmRejects([0.03, 0.01, 0.04, 0.015], 0.05)]).toEqual([0, 1, 0, 1]);
    expect([...holmRejects([0.02, 0.01, 0.04, 0.015], 0.05)]).toEqual([1, 1, 1, 1]);
    expect([...holmRejects([0.02, 0.02], 0.05)]).toEqual([1, 1]);
    expect([...holmRejects([0.03, 0.03], 0.05)]).toEqual([0, 0]);
    expect([...holmRejects([], 0.05)]).toEqual([]);
  });
});
