import { expect, it } from "vitest";
import { readLog } from "../log/log-file.ts";
import type { LogRow } from "../log/log-row.ts";
import { compare } from "./compare.ts";

const published = { sigma: 0.5, alpha: 0.001, n: 100_000 };
const log = (method: string) =>
  readLog(
    new URL(`../__fixtures__/published/noise_0.5/${method}/noise_0.5.tsv.gz`, import.meta.url),
  );

it("brings published logs to the same images and a common n", async () => {
  const [cohen, cat] = [await log("cohen"), await log("cat-rs")];
  const tenth = cohen.filter(({ idx }) => idx % 10 === 0);
  const same = compare(tenth, cat, { published });
  expect(same).toMatchObject({ images: 1000, n: 100_000 });
  const direct = tenth.reduce((sum, row) => sum + row.correct * row.radius, 0) / 1000;
  expect(Math.abs(same.averageRadius.a - direct)).toBeLessThan(0.002); // printed with three digits
  const fewer = compare(tenth, cat, { published, n: 1000 });
  expect(fewer.averageRadius.b).toBeLessThan(same.averageRadius.b);
  const { low, high, difference, a, b } = same.averageRadius;
  expect(difference).toBeCloseTo(b - a, 12);
  expect(low < difference && difference < high).toBe(true);
  expect(compare(tenth, tenth, { published }).averageRadius).toMatchObject({ low: 0, high: 0 });
});

it("takes the exact expectation of thinned votes", () => {
  const settings = { procedure: "certify", sigma: 1, alpha: 0.3, n: 4, n0: 1 } as never;
  const row: LogRow = {
    idx: 0,
    label: 1,
    predict: 1,
    radius: 0.1,
    correct: 1,
    time: 0,
    counts: [1, 3],
    settings,
  };
  // two of four votes: both for the class with probability 1/2, and then 0.3^(1/2) > 1/2 certifies
  const { accuracy } = compare([row], [row], { n: 2, radii: [0] });
  expect(accuracy[0]!.a).toBeCloseTo(0.5, 12);
  expect(() => compare([row], [{ ...row, idx: 1 }])).toThrow(
    "compare: the logs must have common images",
  );
  expect(() => compare([row], [row], { n: 5 })).toThrow(
    "n must be at most the 4 votes of a row, got 5",
  );
});
