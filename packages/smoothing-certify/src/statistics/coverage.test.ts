import { describe, expect, it } from "vitest";
import { coverageOf } from "../__fixtures__/coverage.ts";
import { atMost, wrongRate } from "../__fixtures__/simulate.ts";
import { predictProcedure } from "../procedures/predict.ts";
import { VoteCounts } from "../run/procedure.ts";
import { clopperPearsonLower } from "./clopper-pearson.ts";

describe("wrong certificates over simulated runs, p at its worst point, stay below alpha", () => {
  it.each(coverageOf(0.1))("$name", ({ run, alpha, runs, least }) => {
    const rate = run();
    expect(rate).toBeLessThan(atMost(alpha, runs));
    expect(rate).toBeGreaterThanOrEqual(least); // the point is a bad one, so the test is a sharp one
  });
});

describe("and the simulation notices procedures that are wrong", () => {
  const alpha = 0.05;

  it("PREDICT that ignores the distance of the copies' law", () => {
    const start = () => predictProcedure({ n: 201, alpha });
    const rate = wrongRate("ignores", 4000, start, [0.52, 0.48], (r) => r.prediction === 0);
    expect(rate).toBeGreaterThan(1.3 * alpha);
  });

  it.each([
    ["selection votes counted again", 1, 1.3 * alpha],
    ["a look at every tenth vote without paying for it", 10, 2 * alpha],
  ])("%s", (_, every, least) => {
    const rate = wrongRate(
      `wrong ${every}`,
      4000,
      function* () {
        const votes = new VoteCounts();
        for (let n = 0; n < 200; ) {
          const count = every === 1 ? 200 : every;
          yield [{ stage: "estimation", first: n, count, collector: votes }];
          n += count;
          const guess = every === 1 ? votes.top() : 0;
          if (clopperPearsonLower(votes.counts[guess]!, n, alpha) > 0.5) return true;
        }
        return false;
      },
      [0.5, 0.5],
      (certified) => certified,
    );
    expect(rate).toBeGreaterThan(least);
    expect(rate).toBeGreaterThan(atMost(alpha, 4000));
  });
});
