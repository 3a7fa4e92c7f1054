import { readFileSync } from "node:fs";
import { DmaeError } from "@dmae/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { compareExactly } from "../__fixtures__/exact.ts";
import { binomialPValue, deviance, logBinomialTail, stirlingError } from "./binomial.ts";
import { clopperPearsonLower, clopperPearsonUpper } from "./clopper-pearson.ts";
import { normalCdf, normalQuantile } from "./normal.ts";
import { certifiedRadius } from "./radius.ts";

interface Fixture {
  clopperPearson: [k: number, n: number, alpha: number, lower: string, quantile: string][];
  quantile: [p: number, quantile: string][];
  cdf: [x: number, cdf: string][];
  binomialTest: [number, number, pValue: string, abstain: Record<string, boolean>][];
}
const fixture: Fixture = JSON.parse(
  readFileSync(new URL("../__fixtures__/statistics.json", import.meta.url), "utf8"),
);

describe("clopperPearsonLower", () => {
  it("lies within 1e-12 of the exact bound and never above it, on the whole grid", () => {
    for (const [k, n, alpha, exact] of fixture.clopperPearson) {
      const lower = clopperPearsonLower(k, n, alpha);
      expectClose([lower], [Number(exact)], { relative: 1e-12 });
      expect(compareExactly(lower, exact), `k=${k} n=${n} alpha=${alpha}`).toBeLessThanOrEqual(0);
    }
  });

  it.each([
    [5003, 10_982, 1e-307, 0.28658736710104127],
    [9162, 29_427, 3.1e-115, 0.2522827802838511],
    [5e9, 1e10, 1e-300, 0.49981476447486367],
  ])("is not above the exact bound for %d of %d votes at alpha %d", (k, n, alpha, next) => {
    const lower = clopperPearsonLower(k, n, alpha);
    expect(lower).toBeLessThan(next); // the first number above the exact bound, by mpmath
    expect(lower / next).toBeGreaterThan(1 - 1e-12);
  });

  it("is the alpha-th root for unanimous votes and zero for none", () => {
    expectClose([clopperPearsonLower(10000, 10000, 0.001)], [0.001 ** (1 / 10000)], {
      relative: 1e-14,
    });
    expect(clopperPearsonLower(0, 50, 0.3)).toBe(0);
  });

  it("solves the tail equation for any arguments", () => {
    const cases = fc.tuple(
      fc.integer({ min: 1, max: 3_000_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: -12, max: -0.02, noNaN: true }),
    );
    fc.assert(
      fc.property(cases, ([n, share, exponent]) => {
        const k = Math.min(n, Math.max(1, Math.round(share * n)));
        const alpha = 10 ** exponent;
        const lower = clopperPearsonLower(k, n, alpha);
        const tail = logBinomialTail(k, n, lower);
        expect(tail).toBeLessThanOrEqual(Math.log(alpha));
        // one ulp of the bound moves the tail by at most k * 2^-52 / lower
        expectClose([tail], [Math.log(alpha)], { absolute: 1e-10 + (k / lower) * 2 ** -49 });
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it("rises with k and falls with n and with confidence", () => {
    const at = (k: number, n: number, alpha: number) => clopperPearsonLower(k, n, alpha);
    for (let k = 1; k < 200; k++) expect(at(k + 1, 200, 0.01)).toBeGreaterThan(at(k, 200, 0.01));
    expect(at(50, 100, 0.01)).toBeGreaterThan(at(50, 101, 0.01));
    expect(at(50, 100, 0.01)).toBeGreaterThan(at(50, 100, 0.001));
  });

  it.each([
    [-1, 10, 0.1, "clopperPearsonLower: k must be an integer in [0, 10], got -1"],
    [11, 10, 0.1, "clopperPearsonLower: k must be an integer in [0, 10], got 11"],
    [0.5, 10, 0.1, "clopperPearsonLower: k must be an integer in [0, 10], got 0.5"],
    [0, 0, 0.1, "clopperPearsonLower: n must be a positive integer, got 0"],
    [1, 10, 0, "clopperPearsonLower: alpha must lie in (0, 1), got 0"],
    [1, 10, 1.5, "clopperPearsonLower: alpha must lie in (0, 1), got 1.5"],
    [1, 10, Number.NaN, "clopperPearsonLower: alpha must lie in (0, 1), got NaN"],
  ])("refuses k=%s n=%s alpha=%s", (k, n, alpha, message) => {
    expect(() => clopperPearsonLower(k, n, alpha)).toThrow(message);
    try {
      clopperPearsonLower(k, n, alpha);
    } catch (error) {
      expect(DmaeError.isInstance(error, "argument")).toBe(true);
    }
  });
});

describe("clopperPearsonUpper", () => {
  it("mirrors the lower bound of the other side, and is never below the exact one", () => {
    for (const [k, n, alpha, exact] of fixture.clopperPearson) {
      const upper = clopperPearsonUpper(n - k, n, alpha);
      expectClose([upper], [1 - Number(exact)], { absolute: 1e-12, relative: 1e-9 });
      const digits = 40;
      const mirrored = complement(exact, digits);
      expect(compareExactly(upper, mirrored)).toBeGreaterThanOrEqual(0);
    }
    expect(clopperPearsonUpper(7, 7, 0.1)).toBe(1);
  });
});

describe("certifiedRadius", () => {
  it("is never above the exact radius and within 1e-11 of it, for every sigma of the grid", () => {
    for (const [k, n, alpha, lower, quantile] of fixture.clopperPearson) {
      const exact = Number(quantile);
      const radius = certifiedRadius(clopperPearsonLower(k, n, alpha), 1);
      if (Number(lower) <= 0.5) {
        expect(radius).toBe(0);
        continue;
      }
      expectClose([radius], [exact], { relative: 1e-11, absolute: 1e-11 });
      expect(compareExactly(radius, quantile)).toBeLessThanOrEqual(0);
      for (const sigma of [0.25, 0.5]) {
        const scaled = certifiedRadius(clopperPearsonLower(k, n, alpha), sigma) / sigma; // exact
        expect(compareExactly(scaled, quantile)).toBeLessThanOrEqual(0);
      }
    }
  });

  it("keeps its digits as pLower goes to 1, rounded down", () => {
    for (const [p, quantile] of fixture.quantile) {
      if (p <= 0.5 || p === 1) continue;
      const radius = certifiedRadius(p, 1);
      expectClose([radius], [Number(quantile)], { relative: 1e-14 });
      expect(compareExactly(radius, quantile), `p=${p}`).toBeLessThanOrEqual(0);
    }
    expect(certifiedRadius(1, 0.25)).toBe(Number.POSITIVE_INFINITY);
    expect(certifiedRadius(0.5, 1)).toBe(0);
  });

  it("refuses what is no probability and no standard deviation", () => {
    expect(() => certifiedRadius(1.01, 1)).toThrow(
      "certifiedRadius: pLower must lie in [0, 1], got 1.01",
    );
    expect(() => certifiedRadius(0.9, 0)).toThrow(
      "certifiedRadius: sigma must be a finite number above 0, got 0",
    );
  });
});

describe("the normal distribution", () => {
  it("matches the exact quantiles over the whole range of float64", () => {
    for (const [p, exact] of fixture.quantile)
      expectClose([normalQuantile(p)], [Number(exact)], { relative: 4e-15, absolute: 1e-300 });
  });

  it("matches the exact distribution function, deep tails included", () => {
    for (const [x, exact] of fixture.cdf)
      expectClose([normalCdf(x)], [Number(exact)], { relative: 3e-14, absolute: 1e-320 });
  });

  it("inverts itself everywhere", () => {
    fc.assert(
      fc.property(fc.double({ min: -37, max: 7, noNaN: true }), (x) => {
        const slack = 1e-15 / (Math.exp((-x * x) / 2) / 2.5); // one rounding of p, seen from x
        expectClose([normalQuantile(normalCdf(x))], [x], {
          relative: 1e-13,
          absolute: x > 0 ? slack + 1e-15 : 1e-15,
        });
      }),
      { seed: 2 },
    );
    expect(normalQuantile(Number.NaN)).toBeNaN();
    expect(normalQuantile(1.1)).toBeNaN();
    expect(normalCdf(Number.NaN)).toBeNaN();
  });
});

describe("binomialPValue", () => {
  it("matches the exact test and its decisions, never below the exact value", () => {
    for (const [count1, count2, exact, abstain] of fixture.binomialTest) {
      const p = binomialPValue(count1, count2);
      expectClose([p], [Number(exact)], { relative: 1e-11, absolute: 5e-324 });
      expect(compareExactly(p, exact), `${count1} against ${count2}`).toBeGreaterThanOrEqual(0);
      for (const [alpha, expected] of Object.entries(abstain))
        expect(p > Number(alpha), `${count1} against ${count2} at ${alpha}`).toBe(expected);
    }
  });
});

describe("special functions", () => {
  it("Stirling's error is that of factorials worked out by hand", () => {
    const half = (z: number, gamma: number) =>
      Math.log(gamma) - ((z - 0.5) * Math.log(z) - z + Math.log(2 * Math.PI) / 2);
    expectClose([stirlingError(5)], [half(5, 24)], { absolute: 1e-14 });
    expectClose([stirlingError(0.5)], [half(0.5, Math.sqrt(Math.PI))], { absolute: 1e-14 });
    expectClose([stirlingError(16)], [half(16, 1307674368000)], { absolute: 3e-14 });
  });

  it("the deviance has no cancellation near the mean", () => {
    // x ln(x/m) + m - x = (x - m)^2 / (2 m) - (x - m)^3 / (6 m^2) + …
    const x = 1e6 + 1;
    const m = 1e6;
    expectClose([deviance(x, m)], [1 / (2 * m) - 1 / (6 * m * m) + 1 / (12 * m ** 3)], {
      relative: 1e-15,
    });
  });
});

/** `1 - text`, exactly, as a decimal string. */
function complement(text: string, digits: number): string {
  const [mantissa = "0", exponent = "0"] = text.split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  const shift = digits - fraction.length + Number(exponent);
  const raw = BigInt(whole + fraction);
  const scaled = shift >= 0 ? raw * 10n ** BigInt(shift) : raw / 10n ** BigInt(-shift);
  const rest = 10n ** BigInt(digits) - scaled;
  return `${rest}.0e-${digits}`;
}
