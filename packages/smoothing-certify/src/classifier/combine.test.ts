import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { expectNoLeak } from "../../../../testing/tensors.ts";
import { certify } from "../procedures/certify.ts";
import { denoised, ensemble, fromCompiled } from "./combine.ts";

const options = { seed: 0, sigma: 0.5, n0: 10, n: 300, numClasses: 2 };
const logits =
  (offset: number) =>
  (batch: Float32Array, [n = 0]: number[]) =>
    Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? batch[i >> 1]! + offset : 0));

describe("denoised", () => {
  it("classifies what the denoiser made of the noisy batch", async () => {
    const shifted = (batch: Float32Array) => batch.map((v) => v - 0.3);
    const want = await certify(logits(-0.3), [0.4], options);
    expect(await certify(denoised(shifted, logits(0)), [0.4], options)).toEqual(want);
    await expectNoLeak(async () => {
      const shiftedTensor = (batch: tf.Tensor) => tf.add(tf.sub(batch, 1), 0.7);
      const composed = denoised(
        shiftedTensor,
        { predict: (b: tf.Tensor) => tf.concat([tf.zerosLike(b), b], 1) },
        { input: "tensor" },
      );
      expect(await certify(composed, [0.4], options)).toEqual(want);
    });
  });

  it("refuses a denoiser that changes the size", async () => {
    const half = (batch: Float32Array) => batch.slice(0, 3);
    await expect(certify(denoised(half, logits(0)), [0.4], options)).rejects.toThrow(
      "the denoiser must return a batch of its input's size, 16 numbers, got 3",
    );
  });
});

describe("ensemble", () => {
  it("adds logits", async () => {
    const members = [logits(-0.9), logits(0.1), logits(0.2)];
    const want = await certify(logits(-0.2), [0.4], options);
    expect(await certify(ensemble(members), [0.4], options)).toEqual(want);
  });

  it("takes the majority of votes", async () => {
    const members = [logits(-0.9), logits(0.1), logits(5)];
    const want = await certify(logits(0.1), [0.4], options);
    expect(await certify(ensemble(members, "vote"), [0.4], options)).toEqual(want);
    const ids = (batch: Float32Array, [n = 0]: number[]) =>
      Array.from({ length: n }, (_, i) => (batch[i]! + 0.1 > 0 ? 1 : 0));
    expect(await certify(ensemble([ids], "vote", { numClasses: 2 }), [0.4], options)).toEqual(want);
  });

  it("keeps what its members say about themselves, and refuses what does not fit", async () => {
    const mixing = { predict: logits(0), rowMixers: ["BatchNormalization"], fixedBatchSize: 8 };
    expect(ensemble([mixing, logits(0)])).toMatchObject({
      rowMixers: ["BatchNormalization"],
      fixedBatchSize: 8,
    });
    expect(() => ensemble([mixing, { ...mixing, fixedBatchSize: 4 }])).toThrow(
      "batches of one size, got 8 and 4",
    );
    expect(() => denoised(undefined as never, logits(0))).toThrow(
      "denoiser must be a function of (batch, shape), got undefined",
    );
    expect(() => ensemble([])).toThrow("members must be a non-empty array");
    expect(() => ensemble([logits(0)], "mean" as never)).toThrow(
      /^ensemble: how, the second argument, must be "logits" or "vote", got "mean"$/,
    );
    expect(() => ensemble([logits(0)], { consensus: 1 } as never)).toThrow(
      'got an object; options are the third, ensemble(members, "logits", options)',
    );
    const ids = (_: Float32Array, [n = 0]: number[]) => new Int32Array(n);
    await expect(
      certify(ensemble([ids], "logits", { numClasses: 2 }), [0.4], options),
    ).rejects.toThrow("members must return logits, or use vote");
    const three = (_: Float32Array, [n = 0]: number[]) => new Float32Array(3 * n);
    await expect(
      certify(ensemble([logits(0), three]), [0.4], { ...options, numClasses: undefined }),
    ).rejects.toThrow("members must have the same classes, got 2 and 3");
  });
});

describe("what members say of themselves", () => {
  const shaped = (traits: object) => ({ predict: logits(0), ...traits });
  const of = (...members: object[]) => {
    const { imageShape, numClasses } = ensemble(members.map(shaped));
    return { imageShape, numClasses };
  };

  it("is kept where those that know it agree", async () => {
    const known = { imageShape: [1, 1, 1], numClasses: 2 };
    const none = { imageShape: undefined, numClasses: undefined };
    expect(of(known, {})).toEqual(known);
    expect(of({}, known)).toEqual(known);
    expect(of({ numClasses: 2 }, { imageShape: [1, 1, 1] })).toEqual(known);
    expect(of(known, { imageShape: [2, 1, 1], numClasses: 3 })).toEqual(none);
    expect(of({}, {})).toEqual(none);
    const whole = ensemble([shaped(known), logits(0)]);
    const { shape: _, ...rest } = { shape: undefined, ...options };
    expect(await certify(whole, [0.4], rest)).toEqual(
      await certify(whole, { data: [0.4], shape: [1, 1, 1] }, rest),
    );
  });
});

describe("fromCompiled", () => {
  it("feeds a compiled function its fixed batches", async () => {
    const call = async ({ x }: { x: { dtype: string; shape: number[]; data: Float32Array } }) => {
      expect(x.shape).toEqual([16, 1]);
      return {
        logits: { dtype: "float32", shape: [16, 2], data: logits(0)(x.data, x.shape) },
        other: 1,
      };
    };
    const want = await certify(logits(0), [0.4], options);
    expect(await certify(fromCompiled(call, 16, { output: "logits" }), [0.4], options)).toEqual(
      want,
    );
    await expect(certify(fromCompiled(call, 16, { output: "no" }), [0.4], options)).rejects.toThrow(
      'output must be one of logits, other, got "no"',
    );
  });
});

describe("ensemble with consensus", () => {
  // Rows are one pixel; a member's logits of two classes are a function of it.
  const member = (slope: number, seen: number[][] = []) => ({
    input: "array" as const,
    predict(batch: Float32Array, shape: readonly number[]) {
      seen.push([shape[0]!, ...batch]);
      return {
        data: Float32Array.from([...batch].flatMap((x) => [0, slope * x])),
        shape: [shape[0]!, 2],
      };
    },
  });
  const predict = async (classifier: ReturnType<typeof ensemble>, batch: number[]) =>
    Array.from(
      (await classifier.predict(
        Float32Array.from(batch) as never,
        [batch.length, 1] as never,
      )) as Float64Array,
    );

  it("asks the rest about the rows on which the first disagree, and adds all logits there", async () => {
    const seen: number[][] = [];
    const members = [member(1), member(2), member(-8, seen)];
    const opposed = [member(1), member(-2), member(4, seen)];
    expect(await predict(ensemble(members, "logits", { consensus: 2 }), [1, -1])).toEqual([
      0, 3, 0, -3,
    ]);
    expect(seen).toEqual([]);
    // 0 is class 0 for everyone: the first disagree on 1 and -1 only.
    expect(await predict(ensemble(opposed, "logits", { consensus: 2 }), [1, 0, -1])).toEqual([
      0, 3, 0, 0, 0, -3,
    ]);
    expect(seen).toEqual([[2, 1, -1]]);
  });

  it("asks members of a fixed batch size about full batches of such rows, which change no answer", async () => {
    const seen: number[][] = [];
    const fixed = { ...member(4, seen), fixedBatchSize: 3 };
    const whole = ensemble([member(1), member(-2), fixed], "logits", { consensus: 2 });
    expect(whole.fixedBatchSize).toBe(24);
    expect(ensemble([member(1), member(-2), fixed]).fixedBatchSize).toBe(3);
    const sized = (fixedBatchSize: number) =>
      ensemble([member(1), { ...fixed, fixedBatchSize }], "logits", { consensus: 1 });
    expect([64, 100, 400].map((size) => sized(size).fixedBatchSize)).toEqual([512, 500, 800]);
    expect(await predict(whole, [1, 0, -1])).toEqual([0, 3, 0, 0, 0, -3]);
    expect(await predict(whole, [0, 1, 0, 2, 0, 0, -1, 0, 3])).toEqual(
      [0, 1, 0, 2, 0, 0, -1, 0, 3].flatMap((x) => [0, 3 * x]).map((x) => x + 0),
    );
    expect(seen).toEqual([
      [3, 1, -1, -1],
      [3, 1, 2, -1],
      [3, 3, 3, 3],
    ]);
  });

  it("saves most calls of the others where the first disagree on one row in fifteen, with the same counts", async () => {
    let calls = [0, 0];
    const members = Array.from(
      { length: 10 },
      (_, i) =>
        (batch: Float32Array, [n = 0]: number[]) => {
          calls[i < 2 ? 0 : 1]!++;
          return Float64Array.from({ length: 2 * n }, (_, j) =>
            j % 2 ? batch[j >> 1]! + 0.13 * i : 0,
          );
        },
    );
    const settings = { ...options, n: 3190, batchSize: 16 };
    const run = async (fixedBatchSize: number | undefined) => {
      calls = [0, 0];
      const parts = members.map((predict) => ({
        predict,
        ...(fixedBatchSize && { fixedBatchSize }),
      }));
      const whole = ensemble(parts, "logits", { consensus: 2 });
      return { result: await certify(whole, [0.4], settings), calls };
    };
    const free = await run(undefined);
    const fixed = await run(16);
    expect(fixed.result).toEqual(free.result);
    expect(fixed.calls).toEqual([432, 224]); // 404 and 1096 where each batch of 16 goes to the others whole
  });

  it("is the plain ensemble where all members must agree, and another classifier else", () => {
    const members = [member(1), member(2)];
    const print = (consensus?: number) =>
      ensemble(members, "logits", consensus ? { consensus } : {}).fingerprint;
    expect(print(2)).toBe(print());
    expect(print(1)).not.toBe(print());
    expect(() => ensemble(members, "logits", { consensus: 3 })).toThrow(
      /not exceed the 2 members, got 3/,
    );
    expect(() => ensemble(members, "logits", { consensus: 0 })).toThrow(/consensus must be/);
  });
});
