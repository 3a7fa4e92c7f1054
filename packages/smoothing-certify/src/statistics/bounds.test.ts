import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compareExactly } from "../__fixtures__/exact.ts";
import type { NoiseDistribution } from "../noise/noise-source.ts";
import { clopperPearsonLower, clopperPearsonUpper } from "./clopper-pearson.ts";
import { type Norm, radiusInNorm } from "./noises-and-norms.ts";
import { certifiedRadius } from "./radius.ts";

type RadiusCase = [NoiseDistribution, Norm, number, number, number, number, string];
const fixture: { radii: RadiusCase[]; clopperPearson: [number, number, number, string][] } =
  JSON.parse(readFileSync(new URL("../__fixtures__/bounds.json", import.meta.url), "utf8"));

/** `1 - text` of an exact decimal, compared with `value`. */
const compareComplement = (value: number, exact: string) => {
  const digits = 60;
  const [mantissa = "0", exponent = "0"] = exact.split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  const shift = digits - fraction.length + Number(exponent);
  const raw = BigInt(whole + fraction);
  const scaled = shift >= 0 ? raw * 10n ** BigInt(shift) : raw / 10n ** BigInt(-shift);
  return compareExactly(value, `${10n ** BigInt(digits) - scaled}.0e-${digits}`);
};

describe("against 60-digit arithmetic, near ties and extremes included", () => {
  it("no radius is above the exact one, and all are close to it", () => {
    const above: unknown[] = [];
    const far: unknown[] = [];
    for (const [distribution, norm, pLower, pUpper, sigma, dimension, exact] of fixture.radii) {
      const options = { distribution, norm, pLower, pUpper, sigma, dimension };
      const { radius } = radiusInNorm(options);
      if (compareExactly(radius, exact) > 0) above.push([options, radius, exact]);
      // quantiles that are close leave an absolute error, by sigma; nothing is finer than 2^-1074
      const slack = 1e-14 * Number(exact) + 3e-13 * sigma + 8 * Number.MIN_VALUE;
      if (Number(exact) < Number.MAX_VALUE && Number(exact) - radius > slack)
        far.push([options, radius, exact]);
    }
    expect(above).toEqual([]);
    expect(far).toEqual([]);
  });

  it("no Clopper-Pearson bound is on the wrong side, and all are close", () => {
    const wrong: unknown[] = [];
    for (const [k, n, alpha, exact] of fixture.clopperPearson) {
      const lower = clopperPearsonLower(k, n, alpha);
      const upper = clopperPearsonUpper(n - k, n, alpha);
      const close = Math.abs(lower / Number(exact) - 1) < 1e-12;
      if (compareExactly(lower, exact) > 0 || compareComplement(upper, exact) < 0 || !close)
        wrong.push([k, n, alpha, lower, upper, exact]);
    }
    expect(wrong).toEqual([]);
  });
});

describe("extremes", () => {
  it("an infinite radius needs certainty", () => {
    expect(certifiedRadius(1 - 2 ** -53, 1e308)).toBe(Number.MAX_VALUE * (1 - 2 ** -49));
    expect(certifiedRadius(1, 1)).toBe(Number.POSITIVE_INFINITY);
    const laplace = { distribution: "laplace", norm: "l1", sigma: 1 } as const;
    expect(radiusInNorm({ ...laplace, pLower: 0.9, pUpper: 0 }).radius).toBe(
      Number.POSITIVE_INFINITY,
    );
    const uniform = { distribution: "uniform", norm: "l1", pLower: 1 } as const;
    expect(radiusInNorm({ ...uniform, sigma: 1 }).radius).toBeLessThan(Math.sqrt(3));
    expect(Number.isFinite(radiusInNorm({ ...uniform, sigma: 1.7e308 }).radius)).toBe(true);
  });

  it("more votes than anybody counts are refused before they take minutes", () => {
    expect(() => clopperPearsonLower(5, 2 ** 53 - 1, 0.1)).toThrow(
      "n must be at most 4398046511104",
    );
  });
});
