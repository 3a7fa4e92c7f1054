import { key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { describe, expect, it } from "vitest";
import { atMost } from "../__fixtures__/simulate.ts";
import type { Classifier } from "../classifier/classifier.ts";
import { ensemble } from "../classifier/combine.ts";
import { certify } from "../procedures/certify.ts";
import { clopperPearsonLower } from "../statistics/clopper-pearson.ts";
import { normalQuantile } from "../statistics/normal.ts";

const x = Float32Array.of(0.3, -0.2, 0.1, 0.4);
const options = {
  seed: 0,
  sigma: 0.25,
  n0: 10,
  n: 100,
  numClasses: 3,
  batchSize: 32,
  range: [-1, 1] as const,
};
const weight = [1, -2, 0.5, 1, 0.3, 1, -1, 2, -0.7, 0.2, 1.5, -1];

/** Three logits of a row. */
const logits = (row: ArrayLike<number>) =>
  [0, 1, 2].map((c) => [0, 1, 2, 3].reduce((sum, i) => sum + weight[4 * c + i]! * row[i]!, 0));
const rowsOf = (batch: Float32Array, [n = 0]: number[]) =>
  Array.from({ length: n }, (_, i) => batch.subarray(4 * i, 4 * i + 4));
const plain = (batch: Float32Array, shape: number[]) => rowsOf(batch, shape).map(logits);

/** Subtracts mean and divides by deviation over the batch, as batch normalization does in training. */
function normalized(rows: readonly Float32Array[]) {
  const mean = [0, 1, 2, 3].map((i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);
  const deviation = mean.map((m, i) =>
    Math.sqrt(rows.reduce((sum, row) => sum + (row[i]! - m) ** 2, 0) / rows.length + 1e-5),
  );
  return rows.map((row) => mean.map((m, i) => (row[i]! - m) / deviation[i]!));
}
const batchNorm = (batch: Float32Array, shape: number[]) =>
  normalized(rowsOf(batch, shape)).map(logits);

/** Rounds activations to 8 bits with one scale for the whole batch. */
function dynamicQuantization(batch: Float32Array, shape: number[]) {
  const scale = Math.max(...batch.map(Math.abs)) / 127;
  return rowsOf(batch, shape).map((row) =>
    logits([...row].map((v) => Math.round(v / scale) * scale)),
  );
}

/** The same with a scale fixed beforehand. */
const staticQuantization = (batch: Float32Array, shape: number[]) =>
  rowsOf(batch, shape).map((row) => logits([...row].map((v) => Math.round(v / 0.01) * 0.01)));

const draw = generator(key("dropout"));
const dropout = (batch: Float32Array, shape: number[]) =>
  rowsOf(batch, shape).map((row) => logits([...row].map((v) => (draw() < 0.1 ? 0 : v / 0.9))));

describe("the check that rows are independent", () => {
  it("asks a vote of members as thoroughly as the members themselves", async () => {
    const draws = generator(key("vote"));
    for (let trial = 0; trial < 12; trial++) {
      const own = weight.map(() => 2 * draws() - 1);
      const ids = (batch: Float32Array, shape: number[]) =>
        normalized(rowsOf(batch, shape)).map((row) =>
          own.slice(0, 4).reduce((sum, w, i) => sum + w * row[i]!, own[4]!) > 0 ? 1 : 0,
        );
      const two = { ...options, n0: 16, numClasses: 2 };
      const outcome = (classifier: Classifier) =>
        certify(classifier, x, two).then(
          () => "accepted",
          () => "refused",
        );
      const vote = ensemble([ids], "vote", { numClasses: 2 });
      expect(await outcome(vote)).toBe(await outcome(ids));
    }
  });

  it.each([
    ["batch normalization in training mode", batchNorm],
    ["dynamic quantization", dynamicQuantization],
    [
      "class ids from batch normalization",
      (b: Float32Array, s: number[]) => batchNorm(b, s).map((row) => row.indexOf(Math.max(...row))),
    ],
  ])("refuses %s and names the usual causes", async (_, classify) => {
    const run = certify(classify, x, options);
    await expect(run).rejects.toThrow(
      /depends on the rows beside it \(.*(of 8 classes changed|rows changed their class)\).*usual causes: batch normalization in training mode, dropout left on, dynamic quantization, a mean over the batch/,
    );
    await expect(certify(classify, x, options)).rejects.toMatchObject({ code: "classifier" });
  });

  it("shows the largest difference", async () => {
    await expect(certify(batchNorm, x, options)).rejects.toSatisfy(
      (error: { details: { largestDifference: number } }) => error.details.largestDifference > 0.1,
    );
  });

  it("refuses dropout that was left on, unless it is declared", async () => {
    await expect(certify(dropout, x, options)).rejects.toThrow(
      /gave different answers to the same batch .*dropout left on.*randomized: true/,
    );
    expect((await certify(dropout, x, { ...options, randomized: true })).samples).toBe(110);
  });

  it("lets pass plain functions, fixed scales and float rounding", async () => {
    const rounding = (batch: Float32Array, shape: number[]) =>
      plain(batch, shape).map((row, i) => row.map((v) => v * (1 + 1e-6 * ((i * shape[0]!) % 7))));
    for (const classify of [plain, staticQuantization, rounding])
      for (const batchSize of [1, 2, 3, 32]) await certify(classify, x, { ...options, batchSize });
  });

  it("lets a classifier of batches pass in batches of one, where it is a function of the row", async () => {
    expect((await certify(dynamicQuantization, x, { ...options, batchSize: 1 })).samples).toBe(110);
  });

  it("is not deceived by a classifier that answers in the same memory each time", async () => {
    const memory = new Float32Array(3 * 32);
    const reusing = (fn: typeof plain) => (batch: Float32Array, shape: number[]) => {
      const answer = memory.subarray(0, 3 * shape[0]!);
      answer.set(fn(batch, shape).flat());
      return { data: answer, dims: [shape[0]!, 3] };
    };
    expect((await certify(reusing(plain), x, options)).samples).toBe(110);
    await expect(certify(reusing(batchNorm), x, options)).rejects.toThrow("depends on the rows");
  });

  it("takes two batches of 13 rows, and one more where the first batch of the run is small", async () => {
    const sizes = async (more: object) => {
      const seen: number[] = [];
      const spy = (batch: Float32Array, shape: number[]) => {
        seen.push(shape[0]!);
        return plain(batch, shape);
      };
      await certify(spy, x, { ...options, ...more });
      return seen;
    };
    // 16 samples, check, 94 samples in batches of 32, check
    expect(await sizes({})).toEqual([16, 13, 32, 32, 30, 13]);
    // 4 samples, which are too few to compare: 16 rows of its own
    expect(await sizes({ n0: 2, n: 2 })).toEqual([4, 16, 13, 13]);
  });

  it("notices at the end that the classifier changed during the run", async () => {
    let calls = 0;
    const drifting = (batch: Float32Array, shape: number[]) =>
      plain(batch, shape).map((row) =>
        row.map((v, c) => v + (calls > 3 && c === 0 ? 5 : 0) + 0 * calls++),
      );
    await expect(certify(drifting, x, { ...options, n: 1000 })).rejects.toThrow(
      /different answers|other answers|depends/,
    );
    let batches = 0;
    const late = (batch: Float32Array, shape: number[]) => {
      const shift = ++batches > 3 ? 5 : 0;
      return plain(batch, shape).map(([a = 0, b = 0, c = 0]) => [a + shift, b, c]);
    };
    await expect(certify(late, x, { ...options, n: 1000 })).rejects.toThrow(
      "at the end of the run the classifier gave other answers",
    );
  });

  it("notices a classifier that begins to mix rows during the run", async () => {
    let batches = 0;
    const late = (batch: Float32Array, shape: number[]) =>
      ++batches > 6 ? batchNorm(batch, shape) : plain(batch, shape);
    await expect(certify(late, x, { ...options, n: 1000 })).rejects.toThrow(
      "at the end of the run",
    );
  });

  it("refuses what a model says about itself, in batches of more than one", async () => {
    const known = {
      predict: plain,
      rowMixers: ['DynamicQuantizeLinear "q0" takes one scale over the batch'],
    };
    await expect(certify(known, x, options)).rejects.toThrow('DynamicQuantizeLinear "q0"');
    await certify(known, x, { ...options, batchSize: 1 });
    const random = { predict: plain, randomParts: ['Dropout "d" is in training mode'] };
    await expect(certify(random, x, options)).rejects.toThrow('Dropout "d"');
    await certify(random, x, { ...options, randomized: true });
  });
});

describe("why it matters", () => {
  it("a batch-coupled classifier breaks the bound far more often than alpha", () => {
    // Every row of a batch of 50 says "right" or every one says "wrong", with probability 0.6 for
    // "right": as with one statistic taken over the batch. Each vote alone is right with p = 0.6.
    const random = generator(key("coupled"));
    const [alpha, n, runs, p] = [0.01, 1000, 2000, 0.6];
    const wrongBounds = (rowsTogether: number) => {
      let wrong = 0;
      for (let run = 0; run < runs; run++) {
        let votes = 0;
        for (let batch = 0; batch < n / rowsTogether; batch++)
          if (random() < p) votes += rowsTogether;
        if (clopperPearsonLower(votes, n, alpha) > p) wrong++;
      }
      return wrong / runs;
    };
    expect(wrongBounds(1)).toBeLessThan(alpha + 4 * Math.sqrt((alpha * (1 - alpha)) / runs));
    expect(wrongBounds(50)).toBeGreaterThan(20 * alpha);
  });

  it("certify itself claims too large radii then, and refuses the classifier unless told not to look", async () => {
    // Class 1 where the pixel is above 0: the exact radius is the pixel, P(class 1) = Phi(0.2533 sigma / sigma) = 0.6.
    // Coupled: all rows of a batch get the class of its first row, so each vote alone still has p = 0.6.
    const alone = (batch: Float32Array, [n = 0]: number[]) =>
      Int32Array.from({ length: n }, (_, i) => (batch[i]! > 0 ? 1 : 0));
    const coupled = (batch: Float32Array, [n = 0]: number[]) =>
      new Int32Array(n).fill(batch[0]! > 0 ? 1 : 0);
    const pixel = 0.25 * normalQuantile(0.6);
    const alpha = 0.01;
    const runs = 300;
    const run = { seed: 0, sigma: 0.25, n0: 50, n: 1000, alpha, numClasses: 2, batchSize: 50 };
    const tooLarge = async (classify: typeof alone) => {
      let wrong = 0;
      for (let seed = 0; seed < runs; seed++) {
        const { prediction, radius } = await certify(classify, [pixel], {
          ...run,
          seed,
          checkRows: false,
        });
        if (prediction === 1 ? radius > pixel : prediction === 0) wrong++;
      }
      return wrong / runs;
    };
    expect(await tooLarge(alone)).toBeLessThan(atMost(alpha, runs));
    expect(await tooLarge(coupled)).toBeGreaterThan(20 * alpha);
    await expect(certify(coupled, [pixel], run)).rejects.toThrow(/depends on the rows beside it/);
  });
});
