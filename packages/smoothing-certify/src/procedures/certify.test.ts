import "@tensorflow/tfjs-backend-cpu";
import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { expectNoLeak } from "../../../../testing/tensors.ts";
import { type CertifyOptions, certify } from "./certify.ts";
import { predict } from "./predict.ts";

const x = Float32Array.of(0.2, -0.1);
const base = { seed: 0, sigma: 0.5, n0: 20, n: 400, batchSize: 64, range: [-1, 1] as const };

/** Class 1 where the first number is positive. */
const half = (batch: Float32Array, [n = 0]: number[]) =>
  Int32Array.from({ length: n }, (_, i) => (batch[2 * i]! > 0 ? 1 : 0));
const logitsOf = (batch: Float32Array, [n = 0]: number[]) =>
  Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 === 1 ? batch[i - 1]! : 0));

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("certify", () => {
  it("counts the same votes for every form of the same classifier", async () => {
    const want = await certify(half, x, { ...base, numClasses: 2 });
    expect(want.counts[0]! + want.counts[1]!).toBe(400);
    expect(want.counts[1]).toBeGreaterThan(200);
    const forms: [string, unknown][] = [
      ["logits", logitsOf],
      ["async", async (b: Float32Array, s: number[]) => logitsOf(b, s)],
      ["object", { predict: logitsOf }],
      ["run", { run: logitsOf }],
      ["nested", (b: Float32Array, s: number[]) => [...half(b, s)].map((c) => [1 - c, c])],
      ["ids as numbers", (b: Float32Array, s: number[]) => [...half(b, s)]],
      [
        "int64 ids",
        (b: Float32Array, s: number[]) => BigInt64Array.from([...half(b, s)].map(BigInt)),
      ],
      [
        "named output",
        (b: Float32Array, s: number[]) => ({ logits: { data: logitsOf(b, s), dims: [s[0], 2] } }),
      ],
      ["column of ids", (b: Float32Array, s: number[]) => ({ data: half(b, s), dims: [s[0], 1] })],
    ];
    for (const [name, form] of forms) {
      const got = await certify(form as typeof half, x, { ...base, numClasses: 2 });
      expect(got, name).toEqual(want);
    }
  });

  it("gives tensors to a classifier of tensors and leaves none behind", async () => {
    const want = await certify(half, x, { ...base, numClasses: 2 });
    const input = tf.tensor1d([...x]);
    const sliced = (batch: tf.Tensor2D) => {
      const first = tf.slice(batch, [0, 0], [-1, 1]); // an intermediate that nobody frees
      return tf.concat([tf.zerosLike(first), first], 1);
    };
    const ids = (batch: tf.Tensor2D) => tf.argMax(sliced(batch), 1);
    await expectNoLeak(async () => {
      expect(await certify(sliced, input, base)).toEqual(want);
      expect(await certify({ predict: sliced }, input, base)).toEqual(want);
      expect(await certify(ids, input, { ...base, numClasses: 2 })).toEqual(want);
      expect(await certify(sliced, x, { ...base, input: "tensor" })).toEqual(want);
      expect(await certify(half, input, { ...base, numClasses: 2, input: "array" })).toEqual(want);
    });
    input.dispose();
  });

  it("gives tensors to TensorFlow.js models whatever the input was", async () => {
    const model = {
      predictOnBatch() {},
      predict: (batch: tf.Tensor2D) =>
        tf.concat([tf.zeros([batch.shape[0], 1]), tf.slice(batch, [0, 0], [-1, 1])], 1),
    };
    const want = await certify(half, x, { ...base, numClasses: 2 });
    await expectNoLeak(async () => expect(await certify(model, x, base)).toEqual(want));
    const graph = {
      predict() {
        throw new Error(
          "This execution contains the node 'while', please use model.executeAsync() instead",
        );
      },
      executeAsync: async (batch: tf.Tensor2D) => model.predict(batch),
    };
    expect(await certify(graph, x, base)).toEqual(want);
  });

  it("does not depend on the batch size, and does on seed and index", async () => {
    const run = (more: Partial<CertifyOptions>) =>
      certify(half, x, { ...base, numClasses: 2, ...more });
    const want = await run({});
    for (const batchSize of [1, 7, 400, 1000, "auto"] as const)
      expect(await run({ batchSize })).toEqual(want);
    expect((await run({ seed: 1 })).counts).not.toEqual(want.counts);
    expect((await run({ seed: "0" })).counts).not.toEqual(want.counts);
    expect((await run({ index: 1 })).counts).not.toEqual(want.counts);
    expect(await run({ seed: 0n })).toEqual({ ...want, seed: 0n });
  });

  it("never shows the classifier more rows than asked for, and full batches but for the last", async () => {
    const sizes: number[] = [];
    const spy = (batch: Float32Array, shape: number[]) => {
      sizes.push(shape[0]!);
      expect(batch.length).toBe(2 * shape[0]!);
      return half(batch, shape);
    };
    await certify(spy, x, {
      ...base,
      n0: 10,
      n: 200,
      batchSize: 64,
      numClasses: 2,
      checkRows: false,
    });
    expect(sizes).toEqual([64, 64, 64, 18]);
    sizes.length = 0;
    const fixed = { predict: spy, fixedBatchSize: 50 };
    await certify(fixed, x, { ...base, n0: 10, n: 200, numClasses: 2, checkRows: false });
    expect(sizes).toEqual([50, 50, 50, 50, 50]);
  });

  it("needs as much memory for many samples as for few", async () => {
    const seen = new Set<ArrayBufferLike>();
    const spy = (batch: Float32Array, shape: number[]) => {
      seen.add(batch.buffer);
      return half(batch, shape);
    };
    await certify(spy, x, { ...base, n: 20_000, numClasses: 2, checkRows: false });
    expect(seen.size).toBe(2);
  });

  it("finds the exact radius of a linear classifier from below", async () => {
    // P(x + e > 0) = Phi(0.2 / 0.5), so g is robust up to exactly 0.2
    const { radius, prediction } = await certify(half, x, { ...base, n: 50_000, numClasses: 2 });
    expect(prediction).toBe(1);
    expect(radius).toBeLessThan(0.2);
    expect(radius).toBeGreaterThan(0.185);
  });

  it("abstains where no class has more than half of the votes", async () => {
    const third = (batch: Float32Array, [n = 0]: number[]) =>
      Array.from({ length: n }, (_, i) => Math.floor(Math.abs(batch[2 * i]! * 1e4)) % 3);
    const result = await certify(third, x, { ...base, numClasses: 3 });
    expect(result).toMatchObject({ prediction: -1, radius: 0, abstained: true, samples: 420 });
    const few = { seed: 0, sigma: 0.5, n: 10, numClasses: 3, range: [-9, 9] } as const;
    expect((await predict(third, x, few)).abstained).toBe(true);
  });

  it("stops between batches when its signal is aborted", async () => {
    const controller = new AbortController();
    let calls = 0;
    const classify = (batch: Float32Array, shape: number[]) => {
      if (++calls === 3) controller.abort(new Error("enough"));
      return half(batch, shape);
    };
    const { signal } = controller;
    const run = certify(classify, x, { ...base, numClasses: 2, signal, checkRows: false });
    await expect(run).rejects.toThrow("enough");
    expect(calls).toBe(3);
  });
});

describe("bad input", () => {
  const options = (more: object): CertifyOptions => ({ ...base, numClasses: 2, ...more });

  it.each([
    [{ seed: 0, sigma: 0 }, "certify: sigma must be a finite number above 0, got 0"],
    [{ seed: 0, sigma: Number.NaN }, "certify: sigma must be a finite number above 0, got NaN"],
    [{ seed: 0, sigma: "0.25" }, 'certify: sigma must be a finite number above 0, got "0.25"'],
    [{ alpha: 1.5 }, "certify: alpha must lie in (0, 1), got 1.5"],
    [{ n: 0 }, "certify: n must be an integer of at least 1, got 0"],
    [{ n: 10.5 }, "certify: n must be an integer of at least 1, got 10.5"],
    [{ n0: Number.NaN }, "certify: n0 must be an integer of at least 1, got NaN"],
    [{ batchSize: 0 }, "certify: batchSize must be an integer of at least 1, got 0"],
    [{ numClasses: 1 }, "certify: numClasses must be an integer of at least 2, got 1"],
    [{ memoryLimit: -1 }, "certify: memoryLimit must be a finite number above 0, got -1"],
    [{ index: -1 }, "certify: index must be an integer of at least 0, got -1"],
    [{ seed: 0.5 }, "seed must be an integer"],
    [{ shape: [3] }, "certify: shape [3] holds 3 numbers, but x has 2"],
    [{ range: [0, 1] }, "certify: x must lie in [0, 1], got -0.1"],
  ])("refuses %j", async (more, message) => {
    await expect(certify(half, x, options(more))).rejects.toThrow(message);
    await expect(certify(half, x, options(more))).rejects.toMatchObject({ name: "DmaeError" });
  });

  it("refuses inputs that are no finite numbers", async () => {
    const infinite = Float32Array.of(0, Number.NaN);
    await expect(certify(half, infinite, options({}))).rejects.toThrow(
      "x must be finite, got NaN at element 1",
    );
    await expect(certify(half, "cat" as never, options({}))).rejects.toThrow(
      'x must be a tensor, an array of numbers or {data, shape}, got "cat"',
    );
    await expect(certify(half, [], options({}))).rejects.toThrow(
      "x must have elements, got an empty array",
    );
  });

  const answers: [string, unknown, string][] = [
    ["nothing", () => undefined, "must return logits or class ids"],
    ["an object", () => ({ foo: 1, bar: 2 }), "got an object with foo, bar"],
    [
      "too few ids",
      () => new Int32Array(3),
      "must return logits [16, classes] or class ids [16], got shape [3]",
    ],
    [
      "a foreign class",
      (_: unknown, [n]: number[]) => new Int32Array(n!).fill(2),
      "returned class 2 for row 0; classes are the integers 0 … 1",
    ],
    [
      "a broken id",
      (_: unknown, [n]: number[]) => new Float32Array(n!).fill(0.5),
      "returned class 0.5 for row 0",
    ],
    [
      "foreign logits",
      (_: unknown, [n]: number[]) => new Float32Array(3 * n!),
      "returned 3 logits a row, but numClasses is 2",
    ],
    [
      "NaN",
      (_: unknown, [n]: number[]) => new Float32Array(2 * n!).fill(Number.NaN, 7),
      "returned NaN for class 1 of row 3",
    ],
    [
      "ragged rows",
      (_: unknown, [n]: number[]) => Array.from({ length: n! }, (_, i) => (i === 5 ? [1] : [1, 2])),
      "2 numbers in row 0 and 1 in row 5",
    ],
    [
      "transposed logits",
      (_: unknown, [n]: number[]) => ({ data: new Float32Array(2 * n!), dims: [2, n] }),
      "got shape [2,16]",
    ],
    [
      "an error",
      () => {
        throw new TypeError("no weights");
      },
      "the classifier threw: no weights",
    ],
    [
      "a rejection",
      () => Promise.reject(new Error("device lost")),
      "the classifier threw: device lost",
    ],
  ];
  it.each(answers)(
    "a classifier that returns %s is an error, never a count",
    async (_, answer, message) => {
      const run = certify(answer as typeof half, x, options({}));
      await expect(run).rejects.toThrow(message);
      await expect(certify(answer as typeof half, x, options({}))).rejects.toMatchObject({
        code: "classifier",
      });
    },
  );

  it("refuses class ids without numClasses, and no classifier at all", async () => {
    await expect(certify(half, x, base)).rejects.toThrow("certify: numClasses is needed");
    await expect(certify({} as never, x, base)).rejects.toThrow(
      "a classifier is a function or an object with predict",
    );
  });

  it("any options whatever either work or throw a typed error", async () => {
    const odd = fc.oneof(
      fc.integer({ min: -2, max: 30 }),
      fc.double(),
      fc.string(),
      fc.constant(undefined),
      fc.constant(null),
    );
    const bag = fc.record(
      {
        sigma: fc.oneof(odd, fc.constant(0.5)),
        n: odd,
        n0: odd,
        alpha: odd,
        batchSize: odd,
        numClasses: odd,
        seed: odd,
        index: odd,
      },
      { requiredKeys: ["sigma"] },
    );
    await fc.assert(
      fc.asyncProperty(bag, async (more) => {
        try {
          const { counts, samples } = await certify(half, x, more as never);
          expect(counts.length).toBe(more.numClasses);
          expect(samples).toBeGreaterThan(0);
        } catch (error) {
          expect(DmaeError.isInstance(error), String(error)).toBe(true);
        }
      }),
      { seed: 6, numRuns: 300 },
    );
  });
});
