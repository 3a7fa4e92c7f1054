import type { ImageDataset } from "@dmae/core";
import { describe, expect, it } from "vitest";
import { halves } from "../__fixtures__/steps.ts";
import { certifyDatasetAtRadius } from "./certify-at-radius.ts";
import { certifyDataset } from "./certify-dataset.ts";
import { type PlanOptions, plan } from "./plan.ts";

/** Images of one pixel, `i / 60`, of class 1: the exact radius is the pixel. */
const data: ImageDataset = {
  name: "ramp",
  length: 60,
  imageShape: [1, 1, 1],
  numClasses: 2,
  get: (i) => ({ image: Float32Array.of(i / 60), label: 1 }),
};
const base: PlanOptions = { goal: { radius: 0.5 }, sigmas: [0.25, 0.5], sizes: [1000], images: 30 };

describe("plan", () => {
  it("expects what the runs then give, on images it has not seen", async () => {
    const { runs, indices, recommended, drawn } = await plan(halves, data, base);
    expect(runs.map(({ procedure, sigma }) => `${procedure} ${sigma}`).sort()).toEqual([
      ...["certify 0.25", "certify 0.5", "certifyAtRadius 0.25", "certifyAtRadius 0.5"],
    ]);
    expect(indices).toEqual(Array.from({ length: 30 }, (_, i) => 2 * i + 1));
    expect(drawn).toBe(2 * 30 * 201);
    expect(runs).toContain(recommended);
    for (const { procedure, sigma, n, accuracy, samples } of runs) {
      let [certified, spent] = [0, 0];
      const options = { sigma, indices, seed: 1 };
      const rows =
        procedure === "certify"
          ? certifyDataset(halves, data, { ...options, n })
          : certifyDatasetAtRadius(halves, data, { ...options, radius: 0.5, maxSamples: n });
      for await (const row of rows) {
        certified += row.correct && row.radius >= 0.5 ? 1 / 30 : 0;
        spent += row.samples! / 30;
      }
      expect(Math.abs(certified - accuracy)).toBeLessThan(0.15);
      expect(spent / samples).toBeGreaterThan(procedure === "certify" ? 0.999 : 0.25);
      expect(spent / samples).toBeLessThan(procedure === "certify" ? 1.001 : 4);
    }
  });

  it("recommends the cheapest that reaches an accuracy, the best within a budget, or nothing", async () => {
    const run = async (goal: PlanOptions["goal"]) => {
      const found = await plan(halves, data, { ...base, sizes: [1000, 4000], goal });
      return { ...found, best: Math.max(...found.runs.map(({ accuracy }) => accuracy)) };
    };
    const easy = await run({ radius: 0.5, accuracy: 0.2 });
    expect(easy.recommended).toBe(easy.runs.find(({ accuracy }) => accuracy >= 0.2));
    expect((await run({ radius: 0.5, accuracy: 0.9 })).recommended).toBeUndefined();
    const budget = await run({ radius: 0.5, samples: 1200 });
    expect(budget.recommended!.samples).toBeLessThanOrEqual(1200);
    const affordable = budget.runs.filter(({ samples }) => samples <= 1200);
    for (const { accuracy } of affordable)
      expect(budget.recommended!.accuracy).toBeGreaterThanOrEqual(accuracy);
    const free = await run({ radius: 0.5 });
    expect(free.recommended!.accuracy).toBeGreaterThanOrEqual(free.best - 0.005);
  });

  it("leaves out what no vote can reach", async () => {
    const { runs, recommended } = await plan(halves, data, { ...base, goal: { radius: 5 } });
    expect(runs).toEqual([]);
    expect(recommended).toBeUndefined();
  });

  it.each<[string, object, string]>([
    ["no goal", { goal: undefined }, "goal must be { radius, accuracy?, samples? }, got undefined"],
    [
      "a goal without a radius",
      { goal: {} },
      "goal.radius must be a finite number above 0, got undefined",
    ],
    [
      "an accuracy of 90",
      { goal: { radius: 1, accuracy: 90 } },
      "goal.accuracy must lie in [0, 1], got 90",
    ],
    ["an unknown goal", { goal: { radius: 1, budget: 1 } }, 'unknown option "goal.budget"'],
    ["no sigma", { sigmas: [] }, "sigmas must be a non-empty array of numbers, got []"],
    ["a sigma of 0", { sigmas: [0] }, "a sigma must be a finite number above 0, got 0"],
    [
      "sizes that are no list",
      { sizes: 1000 },
      "sizes must be a non-empty array of numbers, got 1000",
    ],
    ["half a sample", { sizes: [0.5] }, "a size must be an integer of at least 1, got 0.5"],
  ])("refuses %s", async (_, options, message) => {
    await expect(plan(halves, data, { ...base, ...options } as never)).rejects.toThrow(message);
  });
});
