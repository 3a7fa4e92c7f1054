import { key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { describe, expect, it } from "vitest";
import { adaptiveCost, simulateAdaptive } from "../__fixtures__/adaptive-cost.ts";
import { clopperPearsonLower } from "../statistics/clopper-pearson.ts";
import { normalQuantile } from "../statistics/normal.ts";
import { type AdaptiveSettings, adaptiveProcedure, sampleSize } from "./adaptive-procedure.ts";
import { certifyAdaptive } from "./certify-adaptive.ts";

const settings: AdaptiveSettings = {
  sigma: 1,
  alpha: 0.001,
  pilot: 200,
  relativeWidth: 0.05,
  maxSamples: 100_000,
};
const grid = [0.9, 0.95, 0.99, 0.995, 0.999, 0.9999];

/** Runs a procedure on given shares of votes for class 0; returns sizes of all draws and the result. */
function drive(procedure: ReturnType<typeof adaptiveProcedure>, pilot: number, sample: number) {
  const draws: string[] = [];
  for (;;) {
    const step = procedure.next();
    if (step.done) return { draws, result: step.value };
    for (const { stage, first, count, collector } of step.value) {
      draws.push(`${stage} ${first}+${count}`);
      const share = stage === "selection" ? pilot : sample;
      const classes = Int32Array.from({ length: count }, (_, i) => (i < share * count ? 0 : 1));
      collector.add({ classes, numClasses: 2 }, 0, count);
    }
  }
}

describe("the adaptive sample", () => {
  it("gives away 5 % of the radius at most, for 8 times fewer samples on average", () => {
    // exact expectations; no rule that draws a sample of a size fixed beforehand does it with fewer than
    // 4,300 at p = 0.9, 12,500 at 0.999 and 26,800 at 0.9999, even if it knows p
    const costs = grid.map((p) => adaptiveCost(p, settings));
    for (const [i, { shortfall }] of costs.entries())
      expect(shortfall, `p = ${grid[i]}`).toBeLessThanOrEqual(0.05);
    const mean = costs.reduce((sum, { samples }) => sum + samples / grid.length, 0);
    expect(mean).toBeLessThan(100_000 / 8);
    expect(costs[0]!.samples).toBeLessThan(100_000 / 18);
  }, 60_000);

  it("plans with caps of billions", () => {
    for (const maxSamples of [2 ** 31, 2 ** 32]) {
      const n = sampleSize(1000, 1000, { ...settings, relativeWidth: 0.5, maxSamples });
      expect(n).toBeGreaterThan(100);
      expect(n).toBeLessThan(maxSamples);
    }
  });

  it("keeps to other widths, caps and alphas", () => {
    for (const more of [
      { relativeWidth: 0.1 },
      { relativeWidth: 0.02, maxSamples: 20_000 },
      { maxSamples: 10_000, alpha: 0.01 },
    ])
      for (const p of [0.8, 0.99]) {
        const { shortfall, samples } = adaptiveCost(p, { ...settings, ...more });
        const width = more.relativeWidth ?? 0.05;
        expect(shortfall).toBeLessThanOrEqual(1.02 * width);
        expect(shortfall).toBeGreaterThan(0.8 * width); // and does not overshoot it
        expect(samples).toBeLessThan(more.maxSamples ?? 100_000);
      }
  }, 60_000);

  it("simulated, costs and gives what the summation says", () => {
    const random = generator(key("adaptive"));
    for (const p of [0.9, 0.999]) {
      const { samples, shortfall } = adaptiveCost(p, settings);
      const full = normalQuantile(clopperPearsonLower(Math.round(p * 1e5), 1e5, 0.001));
      const runs = 200;
      const mean = { samples: 0, radius: 0 };
      for (let run = 0; run < runs; run++) {
        const result = simulateAdaptive(p, settings, random);
        mean.samples += result.samples / runs;
        mean.radius += result.radius / runs;
      }
      expect(Math.abs(mean.samples / samples - 1)).toBeLessThan(0.1);
      expect(Math.abs(1 - mean.radius / full - shortfall)).toBeLessThan(0.01);
    }
  }, 60_000);

  it("has a size that depends on the pilot alone, so that the bound holds at the full alpha", () => {
    for (const pilot of [0.6, 0.95, 0.995, 1]) {
      const runs = [1, 0.99, 0.3].map((share) => drive(adaptiveProcedure(settings), pilot, share));
      for (const { draws } of runs) expect(draws).toEqual(runs[0]!.draws);
      const { draws, result } = runs[1]!;
      expect(draws.filter((draw) => draw.startsWith("estimation")).length).toBe(1);
      const n = Number(draws.at(-1)!.split("+")[1]);
      expect(draws.at(-1)).toBe(`estimation 0+${n}`);
      expect(result.pLower).toBe(clopperPearsonLower(result.counts[0]!, n, 0.001));
    }
  });

  it("doubles its pilot until that is a tenth of the sample, within a 32nd of the most", () => {
    const pilots = (share: number, more = {}) =>
      drive(adaptiveProcedure({ ...settings, ...more }), share, share).draws.slice(0, -1);
    expect(pilots(0.95)).toEqual(["selection 0+200", "selection 200+200", "selection 400+400"]);
    expect(pilots(1)).toEqual([
      "selection 0+200",
      "selection 200+200",
      "selection 400+400",
      "selection 800+800",
      "selection 1600+1525",
    ]);
    expect(pilots(1, { maxSamples: 5000 })).toEqual(["selection 0+200"]);
    expect(pilots(1, { pilot: 7000 })).toEqual(["selection 0+7000"]);
  });

  it("ends after a pilot that rules a majority out", async () => {
    const few = { ...settings, maxSamples: 10_000 };
    expect(sampleSize(150, 500, few)).toBe(0);
    expect(sampleSize(250, 500, few)).toBeGreaterThan(5_000);
    expect(sampleSize(500, 500, { ...few, relativeWidth: 0.5 })).toBeLessThan(200);
    expect(sampleSize(1, 1, { ...few, maxSamples: 1 })).toBe(1);
    const never = (_: Float32Array, [n = 0]: number[]) =>
      Array.from({ length: n }, (_, i) => i % 3);
    const result = await certifyAdaptive(never, [1], {
      seed: 0,
      sigma: 1,
      numClasses: 3,
      checkRows: false,
    });
    expect(result).toMatchObject({ abstained: true, samples: 200, counts: [] });
    await expect(
      certifyAdaptive(never, [1], { seed: 0, sigma: 1, relativeWidth: 1 }),
    ).rejects.toThrow("relativeWidth must lie in (0, 1), got 1");
  });
});
