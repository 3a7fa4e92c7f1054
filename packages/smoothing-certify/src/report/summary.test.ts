import { describe, expect, it } from "vitest";
import type { LogSettings } from "../log/log-row.ts";
import { recertify } from "../log/recertify.ts";
import { binomialExceeds, binomialQuantile } from "../statistics/binomial-quantile.ts";
import { clopperPearsonLower, clopperPearsonUpper } from "../statistics/clopper-pearson.ts";
import { summarizeLog } from "./analysis.ts";
import { compare } from "./compare.ts";
import { certifiedAccuracySvg } from "./plot.ts";
import {
  certifiedAccuracy,
  certifiedAccuracyIntervals,
  highProbabilityAccuracy,
  roundingDoubts,
} from "./summary.ts";

describe("intervals of certified accuracy", () => {
  const rows = Array.from({ length: 200 }, (_, i) => ({
    radius: i / 100,
    correct: (i % 4 ? 1 : 0) as 0 | 1,
  }));

  it("are Clopper-Pearson over the images", () => {
    const [at] = certifiedAccuracyIntervals(rows, [1]);
    expect(at).toEqual({
      accuracy: 75 / 200,
      low: clopperPearsonLower(75, 200, 0.025),
      high: clopperPearsonUpper(75, 200, 0.025),
    });
  });

  it("roundingDoubts counts printed radii that may have been below the threshold", () => {
    const printed = [1.75, 1.75, 1.76, 0.25, 0.251, 0.5, 0.9].map((radius) => ({
      radius,
      correct: 1 as const,
    }));
    const doubts = roundingDoubts([...printed, { radius: 0.5, correct: 0 }], [0, 0.25, 0.5, 1.75]);
    expect(doubts).toEqual([
      { radius: 0.25, rows: 1 },
      { radius: 0.5, rows: 1 },
      { radius: 1.75, rows: 2 },
    ]);
    expect(roundingDoubts([...printed, { radius: 0.12345, correct: 1 }], [1.75])).toEqual([]);
  });
});

describe("highProbabilityAccuracy", () => {
  const settings = (alpha: number, seed = "1") => ({ alpha, seed }) as unknown as LogSettings;
  const rows = (m: number, alpha: number) =>
    Array.from({ length: m }, (_, idx) => ({
      idx,
      radius: 1,
      correct: 1 as const,
      settings: settings(alpha),
    }));

  // scipy.stats.binom.isf(rho, n, p), scipy 1.17.1
  it.each([
    [10_000, 0.001, 0.001, 21],
    [10_000, 0.05, 0.001, 569],
    [200, 0.001, 0.001, 3],
    [500, 0.001, 0.01, 3],
    [1, 0.5, 0.6, 0],
    [1, 0.5, 0.4, 1],
    [20, 0.3, 0.999, 1],
    [1_000_000, 0.001, 1e-9, 1195],
    [10_000, 1e-9, 0.0001, 0],
    [5, 0.9, 0.5, 5],
    [100_000, 0.01, 1e-12, 1229],
  ])("of m = %s rows at alpha = %s and rho = %s allows %s wrong ones", (m, alpha, rho, wrong) => {
    expect(binomialQuantile(m, alpha, rho)).toBe(wrong);
    if (m > 10_000) return;
    expect(highProbabilityAccuracy(rows(m, alpha), [0.5, 1, 1.1], undefined, rho)).toEqual([
      (m - wrong) / m,
      (m - wrong) / m,
      0,
    ]);
  });

  it("has tails that are those of scipy, and never below", () => {
    expect(binomialExceeds(20, 10_000, 0.001) / 0.0015789454960304168 - 1).toBeCloseTo(0, 10);
    expect(binomialExceeds(0, 1000, 2.4e-11) / 2.3999999712288004e-8 - 1).toBeCloseTo(0, 10);
    expect(binomialExceeds(1, 2, 0.5)).toBeGreaterThanOrEqual(0.25);
    // the exact value is 8.64748128155e-314; numbers of this size are multiples of 5e-324
    expect(binomialExceeds(8992, 10_000, 0.75)).toBeGreaterThanOrEqual(8.647481282e-314);
    expect([
      binomialExceeds(3, 3, 0.5),
      binomialExceeds(0, 3, 0),
      binomialExceeds(2, 3, 1),
    ]).toEqual([0, 0, 1]);
  });

  it("takes the largest alpha of the rows, a larger one, and none that is smaller", () => {
    const mixed = [...rows(500, 0.001), { ...rows(1, 0.01)[0]!, idx: 500 }];
    const strict = highProbabilityAccuracy(mixed, [0]);
    expect(strict).toEqual([(501 - binomialQuantile(501, 0.01, 0.001)) / 501]);
    expect(highProbabilityAccuracy(mixed, [0], 0.01)).toEqual(strict);
    expect(highProbabilityAccuracy(mixed, [0], 0.05)[0]).toBeLessThan(strict[0]!);
    expect(() => highProbabilityAccuracy(mixed, [0], 0.001)).toThrow(
      "highProbabilityAccuracy: alpha must be at least 0.01, that of the rows, got 0.001",
    );
    const bare = mixed.map(({ settings: _, ...row }) => row);
    expect(() => highProbabilityAccuracy(bare, [0])).toThrow("alpha is needed");
    expect(highProbabilityAccuracy(bare, [0], 0.01)).toEqual(strict);
  });

  it("refuses rows that share noise", () => {
    const twice = [...rows(5, 0.001), ...rows(5, 0.001)];
    expect(() => highProbabilityAccuracy(twice, [0])).toThrow(
      "rows must not share noise, but image 0 is there twice with seed 1",
    );
    const other = rows(5, 0.001).map((row) => ({ ...row, settings: settings(0.001, "2") }));
    expect(highProbabilityAccuracy([...rows(5, 0.001), ...other], [0])).toEqual([0.9]);
  });
});

describe("a wrong argument is an error that names it, in every report", () => {
  const rows = [{ idx: 0, radius: 1, correct: 1 as const }] as never;

  it.each([undefined, null, 0.5, "0.5"])("radii %j", (radii) => {
    const given = radii as never;
    const problem = (caller: string) =>
      `${caller}: radii must be an array, e.g. [0, 0.25, 0.5], got`;
    expect(() => certifiedAccuracy(rows, given)).toThrow(problem("certifiedAccuracy"));
    expect(() => certifiedAccuracyIntervals(rows, given)).toThrow(
      problem("certifiedAccuracyIntervals"),
    );
    expect(() => highProbabilityAccuracy(rows, given, 0.1)).toThrow(
      problem("highProbabilityAccuracy"),
    );
    expect(() => roundingDoubts(rows, given)).toThrow(problem("roundingDoubts"));
    if (radii !== undefined)
      expect(() => compare(rows, rows, { radii: given })).toThrow(problem("compare"));
  });

  it.each([-1, Number.NaN, "0.5"])("radii [%j]", (radius) => {
    const radii = [radius] as never;
    expect(() => certifiedAccuracy(rows, radii)).toThrow("certifiedAccuracy: radii must be >= 0");
    expect(() => compare(rows, rows, { radii })).toThrow("compare: radii must be >= 0");
  });

  it.each([undefined, "run.tsv", Promise.resolve(rows)])("rows %s", (value) => {
    const given = value as never;
    const problem = (name: string) =>
      `${name} must be an array of log rows, as readLog resolves to`;
    expect(() => certifiedAccuracy(given, [0])).toThrow(problem("certifiedAccuracy: rows"));
    expect(() => roundingDoubts(given, [0])).toThrow(problem("roundingDoubts: rows"));
    expect(() => compare(given, rows)).toThrow(problem("compare: a"));
    expect(() => compare(rows, given)).toThrow(problem("compare: b"));
    expect(() => recertify(given, { alpha: 0.01 })).toThrow(problem("recertify: rows"));
    const named = { name: "a", rows: given };
    expect(() => summarizeLog(named)).toThrow(problem("summarizeLog: rows"));
    expect(() => certifiedAccuracySvg([named])).toThrow(problem("certifiedAccuracySvg: rows"));
  });
});
