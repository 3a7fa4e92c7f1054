import { expect, it } from "vitest";
import { coverageOf } from "../__fixtures__/coverage.ts";
import { atMost } from "../__fixtures__/simulate.ts";

it.each(coverageOf(1))("$name: 100,000 runs", ({ run, alpha, runs, least }) => {
  const rate = run();
  expect(rate).toBeLessThan(atMost(alpha, runs));
  expect(rate).toBeGreaterThanOrEqual(least);
});
