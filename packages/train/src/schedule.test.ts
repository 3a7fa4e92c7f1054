import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { cosineSchedule, scaledLearningRate, stepSchedule, trainingPosition } from "./schedule.ts";

interface Setting {
  name: string;
  lr: number;
  min_lr: number;
  warmup_epochs: number;
  epochs: number;
  points: [epoch: number, learningRate: number][];
}

// Recorded from util/lr_sched.py by testing/reference/training.py.
const { settings }: { settings: Setting[] } = JSON.parse(
  readFileSync(new URL("./__fixtures__/schedules.json", import.meta.url), "utf8"),
);

interface StepSetting {
  lr: number;
  step_size: number;
  gamma: number;
  epochs: number;
  stepped_at: "start" | "end";
  dip: number | null;
  rates: number[];
}

// Recorded from PyTorch's StepLR, stepped as the official loops do, by testing/reference/step_schedules.py.
const { settings: stepSettings }: { settings: StepSetting[] } = JSON.parse(
  readFileSync(new URL("./__fixtures__/step-schedules.json", import.meta.url), "utf8"),
);

describe("stepSchedule", () => {
  it.each(stepSettings)(
    "is StepLR: $step_size of $epochs epochs, stepped at the $stepped_at, dip $dip",
    ({ lr, step_size, gamma, epochs, stepped_at, dip, rates }) => {
      const schedule = stepSchedule({
        learningRate: lr,
        stepSize: step_size,
        gamma,
        steppedAt: stepped_at,
        dipInEpoch: dip,
      });
      const middles = Array.from({ length: epochs }, (_, epoch) => schedule(epoch + 0.5));
      expectClose(middles, rates, { relative: 1e-14 });
    },
  );

  const at = (steppedAt: "start" | "end") => {
    const schedule = stepSchedule({ learningRate: 0.01, stepSize: 30, steppedAt });
    return [0, 0.99, 29.5, 30, 30.9, 31, 60.5, 61, 89.9].map((epoch) => schedule(epoch));
  };

  it("drops every stepSize epochs, or one epoch later where the scheduler is stepped at the end", () => {
    const [high, middle, low] = [0.01, 0.001, 0.0001];
    const late = [high, high, high, high, high, middle, middle, low, low];
    const early = [high, high, high, middle, middle, middle, low, low, low];
    expectClose(at("end"), late, { relative: 1e-12 });
    expectClose(at("start"), early, { relative: 1e-12 });
  });

  it("names what is wrong", () => {
    const make = (change: object) => () =>
      stepSchedule({ learningRate: 0.01, stepSize: 30, ...change });
    expect(make({ stepSize: 0 })).toThrow("stepSize must be a positive integer, got 0");
    expect(make({ gamma: -1 })).toThrow("gamma must be 0 or more, got -1");
    expect(make({ steppedAt: "middle" })).toThrow('steppedAt must be "start" or "end", got middle');
    for (const dipInEpoch of [-1, 0.5, Number.NaN])
      expect(make({ dipInEpoch })).toThrow(
        `stepSchedule: dipInEpoch must be an epoch, counted from 0, or null for none, got ${dipInEpoch}`,
      );
  });
});

describe("cosineSchedule", () => {
  it.each(settings.map((setting) => [setting.name, setting] as const))(
    "is the official one: %s",
    (_, s) => {
      const schedule = cosineSchedule({
        learningRate: s.lr,
        minLearningRate: s.min_lr,
        warmupEpochs: s.warmup_epochs,
        epochs: s.epochs,
      });
      for (const [epoch, learningRate] of s.points)
        expectClose([schedule(epoch)], [learningRate], { relative: 1e-15 });
    },
  );

  it("begins at 0, peaks after the warm-up and ends at the minimum", () => {
    const schedule = cosineSchedule({
      learningRate: 1,
      minLearningRate: 0.1,
      warmupEpochs: 5,
      epochs: 10,
    });
    expect([schedule(0), schedule(5)]).toEqual([0, 1]);
    expectClose([schedule(7.5), schedule(10)], [0.55, 0.1], { relative: 1e-12 });
  });

  it("names what is wrong", () => {
    expect(() => cosineSchedule({ learningRate: 1, epochs: 0 })).toThrow("got 0");
    expect(() => cosineSchedule({ learningRate: 1, epochs: 2, warmupEpochs: 3 })).toThrow(
      "cosineSchedule: warmupEpochs must lie in [0, epochs = 2], got 3",
    );
    expect(() => cosineSchedule({ learningRate: -1, epochs: 2 })).toThrow("got -1 and 0");
    expect(() => cosineSchedule({ learningRate: Number.POSITIVE_INFINITY, epochs: 2 })).toThrow(
      "cosineSchedule: learning rates must be finite, got Infinity and 0",
    );
    expect(() => scaledLearningRate(Number.NaN, 3)).toThrow(
      "scaledLearningRate: baseLearningRate must be a number, 0 or more, got NaN",
    );
  });
});

describe("scaledLearningRate", () => {
  it("is the rule of the official scripts: base * batch / 256", () => {
    expect(scaledLearningRate(1.5e-4, 4096)).toBe(2.4e-3);
    expect(scaledLearningRate(0.1, 16384)).toBe(6.4);
  });
});

describe("trainingPosition", () => {
  it("counts updates, and begins each epoch with a new group", () => {
    const rows = Array.from({ length: 10 }, (_, step) => trainingPosition(step, 5, 2));
    expect(rows.map((row) => row.update)).toEqual([0, 0, 1, 1, 2, 2, 2, 3, 3, 4]);
    expect(rows.map((row) => row.first)).toEqual([1, 0, 1, 0, 1, 1, 0, 1, 0, 1].map(Boolean));
    expect(rows.map((row) => row.last)).toEqual([0, 1, 0, 1, 0, 0, 1, 0, 1, 0].map(Boolean));
    expect(rows.map((row) => row.schedulePosition)).toEqual([
      0, 0, 0.4, 0.4, 0.8, 1, 1, 1.4, 1.4, 1.8,
    ]);
  });
});
