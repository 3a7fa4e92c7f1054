import { key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { describe, expect, it } from "vitest";
import { atMost } from "../__fixtures__/simulate.ts";
import type { Classifier } from "../classifier/classifier.ts";
import type { Draw } from "../run/procedure.ts";
import { binomialExceeds } from "../statistics/binomial-quantile.ts";
import { certifiedRadius } from "../statistics/radius.ts";
import { certifyMultiLabel, certifySegmentation } from "./certify-components.ts";
import { aboveThreshold } from "./component-decoders.ts";
import { componentsProcedure } from "./components-procedure.ts";

/** Each pixel of a 2 x 3 image is of class 1 above 1/2, of class 2 above 2; as logits with the classes last. */
const x = { data: [0.9, 0.1, 0.5, 0.7, 0.48, 0], shape: [2, 3] };
const base = { sigma: 0.25, n0: 50, n: 2000, seed: 5, batchSize: 64 };
const pixels = (batch: Float32Array) => [...batch].map((v) => [0.5 - v, v - 0.5, v - 2]);
const last = (batch: Float32Array, [n = 0]: number[]) => ({
  data: Float32Array.from(pixels(batch).flat()),
  dims: [n, 2, 3, 3],
});
const first = (batch: Float32Array, [n = 0]: number[]) => {
  const logits = pixels(batch);
  const data = Array.from({ length: n }, (_, row) =>
    [0, 1, 2].flatMap((c) => logits.slice(6 * row, 6 * row + 6).map((pixel) => pixel[c]!)),
  );
  return { data: Float32Array.from(data.flat()), dims: [n, 3, 2, 3] };
};
const ids = (batch: Float32Array, [n = 0]: number[]) =>
  Array.from({ length: n }, (_, row) =>
    [0, 3].map((start) => [0, 1, 2].map((i) => (batch[6 * row + start + i]! > 0.5 ? 1 : 0))),
  );

describe("certifySegmentation", () => {
  it("certifies the pixels far from the threshold and abstains on the others", async () => {
    const result = await certifySegmentation(last, x, { ...base, numClasses: 3 });
    // P(class) is Phi(|v - 0.5| / 0.25): 0.945, 0.945, 0.5, 0.788, 0.53, 0.977
    expect([...result.predictions]).toEqual([1, 0, -1, 1, -1, 0]);
    expect(result).toMatchObject({ outputShape: [2, 3], abstained: 2, samples: 2050, seed: 5 });
    expect(result.radius).toBe(certifiedRadius(0.75, 0.25));
    expect(result.radius).toBeLessThan(0.25 * 0.6744897501960818);
    result.counts.forEach((count, i) => {
      expect(result.pValues[i]).toBe(binomialExceeds(count - 1, 2000, 0.75 * (1 + 2 ** -52)));
    });
    expect(result.counts[5]! / 2000).toBeCloseTo(0.977, 1);
  });

  it("reads logits with the classes first, class ids and flat arrays alike", async () => {
    const want = await certifySegmentation(last, x, { ...base, numClasses: 3 });
    const run = (model: Classifier, options: object) =>
      certifySegmentation(model, x, { ...base, numClasses: 3, ...options });
    expect(await run(first, { output: "logits-first" })).toEqual(want);
    expect(await run(ids, { output: "classes" })).toEqual(want);
    const flat = (batch: Float32Array, shape: number[]) => last(batch, shape).data;
    expect(await run(flat, {})).toEqual({ ...want, outputShape: [6] });
    expect(await run(last, { batchSize: 9 })).toEqual(want);
  });

  it("abstains on everything at a tau that no component reaches", async () => {
    const result = await certifySegmentation(last, x, { ...base, numClasses: 3, tau: 0.99 });
    expect(result.abstained).toBe(6);
  });
});

describe("certifyMultiLabel", () => {
  const scores = (batch: Float32Array, [n = 0]: number[]) =>
    Array.from({ length: n }, (_, row) => Array.from(batch.subarray(6 * row, 6 * row + 6)));

  it("says which labels are present, which absent, and abstains on the others", async () => {
    const result = await certifyMultiLabel(scores, x, { ...base, threshold: 0.5 });
    expect([...result.predictions]).toEqual([1, 0, -1, 1, -1, 0]);
    const all = await certifyMultiLabel(scores, x, { ...base, threshold: -2 });
    expect([...all.predictions]).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

describe("coverage: any wrong certificate among components that are all at the threshold", () => {
  const alpha = 0.02;
  const settings = { sigma: 1, n0: 5, n: 100, alpha, tau: 0.7 };
  const runs = 4000;
  const labels = 6;

  /** Votes of independent labels, each 1 with probability tau. */
  function rate(isWrong: (pValues: Float64Array, predictions: Int32Array) => boolean): number {
    const random = generator(key("components"));
    let wrong = 0;
    for (let run = 0; run < runs; run++) {
      const procedure = componentsProcedure(settings, aboveThreshold(0.5));
      for (let step = procedure.next(); ; step = procedure.next()) {
        if (step.done) {
          if (isWrong(step.value.pValues, step.value.predictions)) wrong++;
          break;
        }
        for (const { count, collector } of step.value as Draw[]) {
          const logits = Float64Array.from({ length: count * labels }, () =>
            random() < settings.tau ? 1 : 0,
          );
          collector.add({ classes: new Int32Array(count), logits, numClasses: labels }, 0, count);
        }
      }
    }
    return wrong / runs;
  }

  it("is as rare as alpha says, and not much rarer", () => {
    const found = rate((_, predictions) => predictions.some((c) => c !== -1));
    expect(found).toBeLessThan(atMost(alpha, runs));
    expect(found).toBeGreaterThan(0.4 * alpha);
  });
  it("and the simulation notices tests that are not corrected for together", () => {
    const found = rate((pValues) => pValues.some((p) => p <= alpha));
    expect(found).toBeGreaterThan(2 * alpha);
  });
});

describe("bad input", () => {
  const run = (model: Classifier, options: object) =>
    certifySegmentation(model, x, { ...base, numClasses: 3, ...options });
  it.each<[string, Classifier, object, string]>([
    [
      "no numClasses",
      last,
      { numClasses: undefined },
      "numClasses must be an integer of at least 2",
    ],
    ["tau 0.4", last, { tau: 0.4 }, "tau must lie in [0.5, 1), got 0.4"],
    ["tau 1", last, { tau: 1 }, "tau must lie in [0.5, 1), got 1"],
    [
      "an unknown output",
      last,
      { output: "nchw" },
      'output must be "logits", "logits-first" or "classes"',
    ],
    ["an unknown option", last, { theshold: 1 }, 'unknown option "theshold"'],
    [
      "too few samples",
      last,
      { n: 20 },
      "20 samples cannot certify tau 0.75 at alpha 0.001, even if all agree; it takes 25",
    ],
    [
      "classes elsewhere",
      last,
      { numClasses: 4 },
      "numClasses = 4 logits along its last axis, got shape [2,3,3]",
    ],
    [
      "logits where ids are said to come",
      last,
      { output: "classes" },
      "classes are the integers 0 … 2",
    ],
    [
      "a foreign class",
      (_: unknown, [n = 0]: number[]) => Array.from({ length: n }, () => [0, 3]),
      { output: "classes" },
      "returned class 3 for component 1",
    ],
    ["other noise", last, { distribution: "uniform" }, 'distribution must be "gaussian"'],
  ])("%s", async (_, model, options, message) => {
    await expect(run(model, options)).rejects.toThrow(message);
  });
  it("a threshold that is no number", async () => {
    const scores = () => [0];
    await expect(certifyMultiLabel(scores, x, { ...base, threshold: Number.NaN })).rejects.toThrow(
      "certifyMultiLabel: threshold must be a finite number, got NaN",
    );
    await expect(certifyMultiLabel(scores, x, { ...base, numClasses: 3 } as never)).rejects.toThrow(
      'unknown option "numClasses"',
    );
  });
});
