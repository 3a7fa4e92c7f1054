import { expect, it } from "vitest";
import { meanDifference, shareDifference } from "./paired.ts";

const self = (value: number) => value;

it("has Student's t interval of a mean", () => {
  const zeros = [0, 0, 0];
  // scipy.stats.t.interval(0.95, 2, 2, 1 / 3 ** 0.5)
  const { a, b, difference, low, high } = meanDifference(zeros, [1, 2, 3], self);
  expect([a, b, difference]).toEqual([0, 2, 2]);
  expect(low).toBeCloseTo(-0.48413771175033, 13);
  expect(high).toBeCloseTo(4.48413771175033, 13);
});

it("has no interval of a mean of one image, and none that is wider than the differences", () => {
  const unknown = { low: Number.NaN, high: Number.NaN };
  expect(meanDifference([0.5], [0.4], self)).toMatchObject(unknown);
  expect(meanDifference([1, 2], [1, 2], self)).toMatchObject({ difference: 0, low: 0, high: 0 });
});

it("has the interval of Bonett and Price of a share", () => {
  // 20 images, 6 won and 1 lost: 5 / 22 -+ 1.96 sqrt((9 / 22 - (5 / 22)^2) / 22)
  const a = Array.from({ length: 20 }, (_, i) => (i === 0 ? 1 : 0));
  const b = Array.from({ length: 20 }, (_, i) => (i >= 1 && i <= 6 ? 1 : 0));
  const { difference, low, high } = shareDifference(a, b, self);
  expect(difference).toBeCloseTo(0.25, 14);
  expect(low).toBeCloseTo(-0.0225529776, 7);
  expect(high).toBeCloseTo(0.4770984321, 7);
});

it("has a width of a share where no image differs, and where all do", () => {
  const ones = Array<number>(500).fill(1);
  // 1.96 sqrt(2) / 502, about the three of 500 that the rule of three allows
  const same = shareDifference(ones, ones, self);
  expect(same.difference).toBe(0);
  expect(same.high).toBeCloseTo(0.0055215292, 9);
  expect(same.low).toBe(-same.high);
  for (const count of [1, 2, 500]) {
    const all = shareDifference(Array<number>(count).fill(0), ones.slice(0, count), self);
    expect(all).toMatchObject({ difference: 1, high: 1 });
    expect(all.low).toBeLessThan(1);
  }
});

it("covers a known difference of shares in at least about 95 % of samples", () => {
  // images won with probability 0.03 and lost with 0.01: the exact coverage over both counts at 100 images
  const [won, lost, count] = [0.03, 0.01, 100];
  const logs = [0];
  for (let i = 1; i <= count; i++) logs.push(logs[i - 1]! + Math.log(i));
  let covered = 0;
  for (let w = 0; w <= 20; w++)
    for (let l = 0; l <= 15; l++) {
      const rest = count - w - l;
      const a = Array.from({ length: count }, (_, i) => (i < l ? 1 : 0));
      const b = Array.from({ length: count }, (_, i) => (i >= l && i < l + w ? 1 : 0));
      const { low, high } = shareDifference(a, b, self);
      const ways = logs[count]! - logs[w]! - logs[l]! - logs[rest]!;
      const mass = ways + w * Math.log(won) + l * Math.log(lost) + rest * Math.log(1 - won - lost);
      if (low <= won - lost && won - lost <= high) covered += Math.exp(mass);
    }
  expect(covered).toBeGreaterThan(0.95);
});
