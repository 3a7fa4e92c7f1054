import { key, normal } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { describe, expect, it } from "vitest";
import { atMost } from "../__fixtures__/simulate.ts";
import type { Classifier } from "../classifier/classifier.ts";
import type { Draw } from "../run/procedure.ts";
import { certifyRegression, type RegressionOptions } from "./certify-regression.ts";
import { regressionProcedure } from "./regression-procedure.ts";

const base: RegressionOptions = { sigma: 0.5, radius: 0.25, n: 4000, seed: 7, batchSize: 100 };
const x = [0.4, 0.6];

/** Three linear functions of two pixels; their smoothed medians are themselves. */
const weights = [
  [1, 0],
  [0.6, -0.8],
  [3, 4],
];
const linear = (batch: Float32Array, [n = 0]: number[]) =>
  Array.from({ length: n }, (_, i) =>
    weights.map(([a, b]) => a! * batch[2 * i]! + b! * batch[2 * i + 1]!),
  );

describe("certifyRegression on linear functions, whose exact bounds are w x -+ radius |w|", () => {
  it("bounds all outputs, at a distance that falls with n", async () => {
    const result = await certifyRegression(linear, x, base);
    weights.forEach(([a, b], i) => {
      const [exact, norm] = [a! * 0.4 + b! * 0.6, Math.hypot(a!, b!)];
      expect(Math.abs(result.value[i]! - exact)).toBeLessThan(0.05 * norm);
      for (const slack of [
        exact - 0.25 * norm - result.lower[i]!,
        result.upper[i]! - exact - 0.25 * norm,
      ]) {
        expect(slack).toBeGreaterThan(0);
        expect(slack).toBeLessThan(0.07 * norm);
      }
    });
    expect(result).toMatchObject({
      radius: 0.25,
      samples: 4000,
      seed: 7,
      outputShape: [3],
      shape: [2],
    });
    expect(result.ranks.lower + result.ranks.upper).toBe(4001);
  });

  it("gives the same bounds whatever the batches, and for answers of other forms", async () => {
    const want = await certifyRegression(linear, x, base);
    expect(await certifyRegression(linear, x, { ...base, batchSize: 7 })).toEqual(want);
    const flat = (batch: Float32Array, shape: number[]) =>
      Float64Array.from(linear(batch, shape).flat());
    expect(await certifyRegression(flat, x, base)).toEqual(want);
    const deep = (batch: Float32Array, shape: number[]) =>
      linear(batch, shape).map((row) => row.map((value) => [value]));
    expect(await certifyRegression(deep, x, base)).toEqual({ ...want, outputShape: [3, 1] });
  });

  it("answers with another quantile, of which the median of -f is the mirror image", async () => {
    const high = await certifyRegression(linear, x, { ...base, quantile: 0.9 });
    const negative = (batch: Float32Array, shape: number[]) =>
      linear(batch, shape).map((row) => row.map((value) => -value));
    const low = await certifyRegression(negative, x, { ...base, quantile: 0.1 });
    expect(low.lower).toEqual(high.upper.map((value) => -value));
    expect(low.upper).toEqual(high.lower.map((value) => -value));
    expect(high.value[0]! - 0.4).toBeCloseTo(0.5 * 1.2816, 1);
  });

  it("takes a single output, and sound noise with wider bounds", async () => {
    const first = (batch: Float32Array, [n = 0]: number[]) =>
      Float32Array.from({ length: n }, (_, i) => batch[2 * i]!);
    const single = await certifyRegression(first, [51 / 255, 0], base);
    const sound = await certifyRegression(first, [51 / 255, 0], { ...base, sound: true });
    expect(single.outputShape).toEqual([1]);
    expect(sound.upper[0]! - sound.lower[0]!).toBeLessThan(0.7);
    expect(sound.lower[0]!).toBeLessThan(0.2 - 0.25);
  });
});

describe("coverage of the bounds, for the linear function at its exact bounds", () => {
  const alpha = 0.02;
  const settings = { sigma: 1, radius: 0.7, n: 400, alpha, quantile: 0.5 };
  const runs = 4000;

  function rate(outputs: number, ranksIn: number): number {
    let wrong = 0;
    for (let run = 0; run < runs; run++) {
      const procedure = regressionProcedure(settings);
      const [draw] = procedure.next().value as readonly Draw[];
      const z = normal(key(`regression ${run}`), new Float64Array(400 * outputs), { index: 0 });
      const answers = { classes: new Int32Array(400), logits: z, numClasses: outputs };
      draw!.collector.add(answers, 0, 400);
      const step = procedure.next();
      if (!step.done) throw new Error("not done");
      const { ranks, lower, upper } = step.value;
      if (ranksIn > 0) {
        const sorted = [...z].sort((a, b) => a - b);
        if (sorted[ranks.lower - 1 + ranksIn]! > -0.7 || sorted[ranks.upper - 1 - ranksIn]! < 0.7)
          wrong++;
      } else if (lower.some((value) => value > -0.7) || upper.some((value) => value < 0.7)) wrong++;
    }
    return wrong / runs;
  }

  it("wrong bounds are as rare as alpha says, and not much rarer", () => {
    const found = rate(1, 0);
    expect(found).toBeLessThan(atMost(alpha, runs));
    expect(found).toBeGreaterThan(0.5 * alpha);
  });
  it("for four outputs at once too", () => {
    const found = rate(4, 0);
    expect(found).toBeLessThan(atMost(alpha, runs));
    expect(found).toBeGreaterThan(0.3 * alpha);
  });
  it("the simulation notices ranks that are too far in", () => {
    expect(rate(1, 4)).toBeGreaterThan(atMost(alpha, runs));
  });
});

describe("certifyRegression refuses", () => {
  const random = generator(key("random"));
  const constant =
    (row: unknown): Classifier =>
    (_: Float32Array, [n = 0]: number[]) =>
      Array.from({ length: n }, () => row);
  it.each<[string, Classifier, object, string]>([
    [
      "no radius",
      linear,
      { radius: undefined },
      "radius must be a finite number above 0, got undefined",
    ],
    ["a radius of 0", linear, { radius: 0 }, "radius must be a finite number above 0, got 0"],
    ["a quantile of 1", linear, { quantile: 1 }, "quantile must lie in (0, 1), got 1"],
    ["alpha 0", linear, { alpha: 0 }, "alpha must lie in (0, 1), got 0"],
    ["an unknown option", linear, { raduis: 1 }, 'unknown option "raduis"; did you mean "radius"?'],
    ["other noise", linear, { distribution: "laplace" }, 'distribution must be "gaussian"'],
    [
      "too few samples",
      linear,
      { n: 10 },
      "10 samples are too few for bounds on 1 output at radius 0.25",
    ],
    [
      "too few for three outputs",
      linear,
      { radius: 1.2, n: 950 },
      "950 samples are too few for bounds on 3 outputs",
    ],
    [
      "a radius out of reach",
      linear,
      { radius: 20 },
      "; no number that can be drawn is enough: take a smaller radius or a larger sigma",
    ],
    ["NaN", constant([1, Number.NaN]), {}, "returned NaN as output 1 of row 0"],
    ["ragged rows", constant([[1], [2, 3]]), {}, "rows of one shape"],
    ["words", constant([["a"]]), {}, 'must return numbers, got "a"'],
    ["a wrong number of rows", () => [[1], [2], [3]], {}, "as many numbers for each row, [9, …]"],
    [
      "random answers",
      (_: unknown, [n = 0]: number[]) => Array.from({ length: n }, random),
      {},
      "different answers to the same batch",
    ],
    [
      "a mean over the batch",
      (b: Float32Array, [n = 0]: number[]) => new Array(n).fill(b.reduce((s, v) => s + v)),
      {},
      "depends on the rows beside it",
    ],
  ])("%s", async (_, model, options, message) => {
    const run = certifyRegression(model, x, { ...base, batchSize: 9, ...options });
    await expect(run).rejects.toThrow(message);
  });
});
