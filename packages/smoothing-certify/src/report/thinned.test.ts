import { describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { radiusTable, thinnedRow, votesOf } from "./thinned.ts";

const rowOf = (radius: number) =>
  ({ correct: 1, guessed: true, radius, votes: undefined, total: 0, settings: undefined }) as const;

describe("the votes of a printed radius", () => {
  it("are 99,999 of 100,000 where 0.93478 was printed as 0.935", () => {
    const numbers = { sigma: 0.25, alpha: 0.001, n: 100_000 };
    expect(votesOf(rowOf(0.935), numbers)).toEqual({ k: 99_999, n: 100_000 });
    expect(votesOf(rowOf(0.953), numbers)).toEqual({ k: 100_000, n: 100_000 });
    expect(votesOf(rowOf(2), numbers)).toEqual({ k: 100_000, n: 100_000 }); // above the largest
  });

  it("certify, as a correct row does, though its radius was printed as 0", () => {
    const numbers = { sigma: 0.25, alpha: 0.001, n: 1000 };
    const { k } = votesOf(rowOf(0), numbers)!;
    expect(radiusTable(numbers)(k)).toBeGreaterThan(0);
    expect(radiusTable(numbers)(k - 1)).toBe(0);
  });

  it.each([
    [0.25, 1000],
    [1, 1000],
    [0.25, 10_000],
    [0.5, 100_000],
    [1, 100_000],
  ])("have the nearest radius, sigma %s, n %s", (sigma, n) => {
    const numbers = { sigma, alpha: 0.001, n };
    const radiusOf = radiusTable(numbers);
    const read = (radius: number) => votesOf(rowOf(radius), numbers)!.k;
    const near = Array.from({ length: Math.min(150, n / 2) }, (_, i) => n - i);
    const sample = Array.from({ length: 50 }, (_, i) => Math.round(n * (0.56 + 0.0079 * i)));
    for (const k of [...near, ...sample]) {
      const exact = radiusOf(k);
      const printed = Number(exact.toPrecision(3));
      const found = read(printed);
      const off = (votes: number) => Math.abs(radiusOf(votes) - printed);
      expect(off(found)).toBeLessThanOrEqual(off(k));
      expect(off(found)).toBeLessThanOrEqual(off(Math.min(n, found + 1)));
      expect(off(found)).toBeLessThanOrEqual(off(found - 1));
      for (const rounding of [1, 1 + 1e-10, 1 - 1e-10]) expect(read(exact * rounding)).toBe(k); // all digits
    }
  });
});

describe("what a row gives with fewer votes", () => {
  it.each([100_000, 10_000])("is all of it where all %s votes agree, exactly", (n) => {
    const row = thinnedRow({ k: 100_000, n: 100_000 }, n, () => 0.3, [0, 0.3]);
    expect(row).toEqual({ radius: 0.3, certified: [1, 1] });
  });

  it.each([10_000, 1000])("is certain where every draw of %s votes is certified", (n) => {
    expect(thinnedRow({ k: 90_000, n: 100_000 }, n, () => 1, [0.5]).certified).toEqual([1]);
  });

  // exact, by mpmath 1.4.1: the chance of at least `least` votes for the class
  it.each([
    [9_990_000, 10_000_000, 10_000, 9990, 0.583039833683163],
    [9_990_000, 10_000_000, 10_000, 9980, 0.9984303240408322],
    [60_000, 100_000, 10_000, 6000, 0.5045206961361975],
    [60_000, 100_000, 10_000, 6050, 0.1434042222150464],
  ])("has the probability of %d of %d votes brought to %d with %d", (k, of, n, least, exact) => {
    const radiusOf = (votes: number) => (votes >= least ? 1 : 0);
    const { radius, certified } = thinnedRow({ k, n: of }, n, radiusOf, [1]);
    expectClose([radius, ...certified], [exact, exact], { relative: 1e-12 });
  });
});
