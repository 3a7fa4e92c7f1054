import { describe, expect, it } from "vitest";
import type { ClassifierFunction } from "../../classifier/classifier.ts";
import { certify } from "../certify.ts";
import { type AttackOptions, attack } from "./attack.ts";
import { distance } from "./perturbation.ts";

const size = 8;
const weight = Array.from({ length: size }, (_, i) => (i % 2 ? -1 : 0.5) * (1 + i / 4));
const l2 = Math.hypot(...weight);
const l1 = weight.reduce((sum, w) => sum + Math.abs(w), 0);
const score = (batch: ArrayLike<number>, row: number) =>
  weight.reduce((sum, w, i) => sum + w * (batch[row * size + i]! - 0.5), 0);
/** A halfspace: the smoothed classifier is the classifier, and its radius the distance to the boundary. */
const linear: ClassifierFunction = (batch: Float32Array, [n = 0]: number[]) =>
  Array.from({ length: n }, (_, row) => [-score(batch, row), score(batch, row)]);
const x = Float32Array.from(weight, (w) => 0.5 + 0.07 * Math.sign(w));
const base: AttackOptions = { sigma: 0.25, n: 4000, range: [-1, 2] };
const exact = { l2: score(x, 0) / l2, linf: score(x, 0) / l1 };

/** Gradient of -ln mean_i sigmoid(2 s_i): each copy's is a positive multiple of -w. */
const gradient = (batch: Float32Array, [n = 0]: number[], label: number) => {
  const sign = label === 1 ? -1 : 1;
  return Float32Array.from(batch, (_, i) => (sign * weight[i % size]!) / n);
};

describe("attack on a halfspace, of which the exact radius is known", () => {
  it.each([
    ["l2", "votes", undefined, 2],
    ["l2", "a gradient", gradient, 2],
    ["linf", "votes", undefined, 2],
    ["linf", "a gradient", gradient, 2],
  ] as const)("in %s by %s comes close to it, from above", async (norm, _, slope, factor) => {
    const result = await attack(linear, x, { ...base, norm, gradient: slope });
    expect(result).toMatchObject({ success: true, prediction: 1, adversarial: 0 });
    expect(result.radius).toBeGreaterThanOrEqual(exact[norm]);
    expect(result.radius).toBeLessThan(factor * exact[norm]);
    expect(score(result.point!, 0)).toBeLessThan(0);
    expect(result.radius).toBe(distance(x, result.point!, norm));
    expect(result.drawn).toBeGreaterThan(8000);
  });

  it("finds the same point with the same seed and index, and another one with others", async () => {
    const found = async (more: Partial<AttackOptions>) => {
      const { point, seed } = await attack(linear, x, { ...base, ...more });
      return [`${point}`, seed];
    };
    const first = await found({ seed: 7, index: 3 });
    expect(await found({ seed: 7, index: 3 })).toEqual(first);
    expect(first[1]).toBe(7);
    expect((await found({ seed: 7 }))[0]).not.toBe(first[0]);
    expect((await found({ seed: "7", index: 3 }))[0]).not.toBe(first[0]);
  });

  it("is above what certify certifies", async () => {
    const { radius } = await certify(linear, x, { sigma: 0.25, n: 4000, range: [-1, 2] });
    const { radius: upper } = await attack(linear, x, base);
    expect(radius).toBeGreaterThan(0.5 * exact.l2);
    expect(upper).toBeGreaterThan(radius);
  });

  it("keeps to the range and to the radius, and finds nothing beyond them", async () => {
    const inside = await attack(linear, x, { ...base, radius: 0.8 * exact.l2 });
    expect(inside).toMatchObject({
      success: false,
      radius: Infinity,
      prediction: 1,
      adversarial: -1,
    });
    const narrow = [0.5 - 0.071, 0.5 + 0.071] as const;
    const found = await attack(linear, x, { ...base, range: narrow });
    if (found.success)
      for (const value of found.point!) {
        expect(value).toBeGreaterThanOrEqual(Math.fround(0.429) - 1e-7);
        expect(value).toBeLessThanOrEqual(0.571 + 1e-7);
      }
  });

  it("does not attack what PREDICT cannot tell", async () => {
    const middle = new Float32Array(size).fill(0.5);
    const result = await attack(linear, middle, { ...base, n: 100 });
    expect(result).toMatchObject({ success: false, prediction: -1 });
  });

  it("finds nothing on a constant classifier", async () => {
    const constant: ClassifierFunction = (_b: Float32Array, [n = 0]: number[]) => new Int32Array(n);
    const result = await attack(constant, x, { ...base, numClasses: 2, rounds: 1 });
    expect(result).toMatchObject({ success: false, prediction: 0, adversarial: -1 });
  });
});

describe("attack refuses", () => {
  it.each<[string, object, string]>([
    ["another norm", { norm: "l1" }, 'norm must be "l2" or "linf", got "l1"'],
    ["a radius of 0", { radius: 0 }, "radius must be a finite number above 0, got 0"],
    ["no steps", { steps: 0 }, "steps must be an integer of at least 1, got 0"],
    ["alpha 1", { alpha: 1 }, "alpha must lie in (0, 1), got 1"],
    ["an index below 0", { index: -1 }, "attack: index must be an integer of at least 0, got -1"],
    ["noise", { noise: {} }, 'unknown option "noise"'],
    [
      "a gradient that is no function",
      { gradient: 3 },
      "gradient must be a function of (batch, shape, label), got 3",
    ],
    [
      "a gradient that throws",
      {
        gradient: () => {
          throw new Error("no tape");
        },
      },
      "attack: gradient threw: no tape",
    ],
    [
      "a gradient of another size",
      { gradient: () => [1] },
      "gradient must return as many numbers as the batch has, 1024, got 1",
    ],
    [
      "a gradient of NaN",
      { gradient: (b: Float32Array) => b.map(() => Number.NaN) },
      "gradient must return finite numbers, got NaN at element 0",
    ],
    ["other noise", { distribution: "uniform" }, 'distribution must be "gaussian"'],
  ])("%s", async (_, options, message) => {
    await expect(attack(linear, x, { ...base, ...options })).rejects.toThrow(message);
  });
});
