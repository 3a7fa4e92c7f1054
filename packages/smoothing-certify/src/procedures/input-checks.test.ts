import "@tensorflow/tfjs-backend-cpu";
import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectNoLeak } from "../../../../testing/tensors.ts";
import { halves, steps } from "../__fixtures__/steps.ts";
import type { Classifier } from "../classifier/classifier.ts";
import { denoised } from "../classifier/combine.ts";
import type { ImageInput } from "../classifier/image.ts";
import { type CertifyOptions, certify } from "./certify.ts";
import { certifyAdaptive } from "./certify-adaptive.ts";
import { certifyAtRadius } from "./certify-at-radius.ts";
import { certifyDataset } from "./certify-dataset.ts";
import { predict } from "./predict.ts";

const x = Float32Array.of(0.2, -0.1);
const shared = { seed: 0, sigma: 0.5, batchSize: 32, numClasses: 2, range: [-9, 9] as const };
const base: CertifyOptions = { ...shared, n0: 20, n: 100 };
const ids = (batch: Float32Array, [n = 0]: number[]) =>
  Int32Array.from({ length: n }, (_, i) => (batch[2 * i]! > 0 ? 1 : 0));

/** A classifier that gives the same answer to every row. */
const always =
  (row: unknown): Classifier =>
  (_: Float32Array, [n = 0]: number[]) =>
    Array.from({ length: n }, () => row);

async function errorOf(run: Promise<unknown>): Promise<DmaeError> {
  const error = await run.then(
    (value) => `no error, but ${JSON.stringify(value)}`,
    (error: unknown) => error,
  );
  expect(DmaeError.isInstance(error), String(error)).toBe(true);
  return error as DmaeError;
}

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("what a classifier answers", () => {
  it.each([
    [[null, -1], "must return numbers, got null in row 0; JSON writes NaN and Infinity as null"],
    [["1", "2"], 'must return numbers, got "1" in row 0'],
    [[[1], [2]], "must return numbers, got an array in row 0"],
    [[1n, 2n], "must return numbers, got 1 in row 0"],
    [new Set([1, 2]), "must return rows of numbers, got a Set as row 0"],
    ["12", 'must return rows of numbers, got "12" as row 0'],
    [true, "must return rows of numbers, got true as row 0"],
  ])("refuses %s as a row", async (row, message) => {
    const error = await errorOf(certify(always(row), x, base));
    expect(error.message).toContain(message);
    expect(error.code).toBe("classifier");
  });

  it("takes rows with infinite logits where one is finite", async () => {
    expect((await certify(always([-Infinity, 3]), x, base)).counts).toEqual([0, 100]);
    expect((await certify(always([Infinity, 3]), x, base)).counts).toEqual([100, 0]);
  });

  it("takes rows of int64 numbers", async () => {
    expect((await certify(always(BigInt64Array.of(1n, 2n)), x, base)).counts).toEqual([0, 100]);
  });

  it("refuses a tensor that is disposed, or returned twice", async () => {
    const cached = tf.zeros([16, 2]);
    const run = certify(() => cached, x, { ...base, batchSize: 16, input: "tensor" });
    const message =
      "the classifier returned a tensor that is disposed already; what it returns is freed here, so return a new one each time, e.g. tf.clone(logits)";
    expect((await errorOf(run)).message).toContain(message);
    const kept = tf.zeros([16, 2]);
    await certify((_: unknown, [n = 0]: number[]) => tf.slice(kept, 0, n), x, {
      ...base,
      batchSize: 16,
      input: "tensor",
    });
    kept.dispose();
    expect((await errorOf(certify(() => kept, x, base))).message).toContain(message);
  });

  it("frees the tensors of an answer that has two", async () => {
    const logits = (batch: tf.Tensor) => tf.zeros([batch.shape[0]!, 2]);
    const forms: [string, Classifier][] = [
      ["got 2 values; return", (b: tf.Tensor) => [logits(b), logits(b)]],
      ["named a, b; return", (b: tf.Tensor) => ({ a: logits(b), b: logits(b) })],
      ["got 2 values; return", async (b: tf.Tensor) => [logits(b), logits(b)]],
    ];
    for (const [message, form] of forms)
      await expectNoLeak(async () => {
        const error = await errorOf(certify(form, x, { ...base, input: "tensor" }));
        expect(error.message).toContain(message);
      });
  });

  it("frees a tensor that has no numbers", async () => {
    const words = (_: unknown, [n = 0]: number[]) => tf.fill([n], "a");
    await expectNoLeak(async () => {
      const error = await errorOf(certify(words, x, { ...base, input: "tensor" }));
      expect(error.message).toContain("a tensor of numbers, got dtype string");
    });
  });

  it("lets a classifier write to its input", async () => {
    const halved = (batch: Float32Array, shape: number[]) => {
      for (let i = 0; i < batch.length; i++) batch[i] = (batch[i]! - 0.1) / 2;
      return Array.from({ length: shape[0]! }, (_, i) => [0, batch[2 * i]!]);
    };
    const copying = (batch: Float32Array, shape: number[]) => halved(batch.slice(), shape);
    for (const [n0, n] of [
      [20, 100],
      [2, 2], // so few that the check draws a batch of its own
    ] as const)
      expect(await certify(halved, x, { ...base, n0, n })).toEqual(
        await certify(copying, x, { ...base, n0, n }),
      );
  });
});

describe("inputs", () => {
  it.each([
    [[0.1, null], "x must hold numbers, got null at element 1"],
    [{ data: [0.1, "2"], shape: [2] }, 'x must hold numbers, got "2" at element 1'],
    [new BigInt64Array(2), "got a BigInt64Array"],
    [[], "x must have elements, got an empty array"],
    [new Float32Array(0), "x must have elements, got an empty array"],
    [{ data: [], shape: [0] }, "x must have elements, got an empty array"],
    [
      [[[0.1], [0.2]]],
      "x must be a flat array of numbers, got an array of arrays; flatten it row by row and give its shape, {data, shape: [1, 2, 1]}",
    ],
    [[Float32Array.of(0.1, 0.2)], "got an array of arrays"],
    [{ data: [[0.1, 0.2]], shape: [2] }, "got an array of arrays"],
    [{ data: [0.9, 0.3], shape: [-1, -2] }, "integers of at least 1, got -1 in [-1,-2]"],
    [{ data: [0.9, 0.3, 0.1], shape: [1.5, 2] }, "integers of at least 1, got 1.5 in [1.5,2]"],
    [
      { data: [0.9, 0.3], shape: "2" },
      'shape must be an array of lengths, e.g. [28, 28, 1], got "2"',
    ],
  ])("refuses %o", async (input, message) => {
    const error = await errorOf(certify(ids, input as ImageInput, base));
    expect(error.message).toMatch(/^certify: /);
    expect(error.message).toContain(message);
  });

  it("checks the option shape as the shape of the input", async () => {
    const error = await errorOf(certify(ids, x, { ...base, shape: [-1, -2] }));
    expect(error.message).toContain("integers of at least 1, got -1");
  });

  it("refuses tensors that are disposed, empty or of strings", async () => {
    const input = tf.tensor1d([1, 2]);
    input.dispose();
    expect((await errorOf(certify(ids, input, base))).message).toContain("got a disposed one");
    const empty = await errorOf(certify(ids, tf.zeros([0, 2]), base));
    expect(empty.message).toContain("x must have elements, got a tensor [0,2]");
    const words = await errorOf(certify(ids, tf.tensor1d(["1", "2"]), base));
    expect(words.message).toContain("got dtype string");
  });

  it("bounds the number of classes, and counts a million of them", async () => {
    const error = await errorOf(certify(ids, x, { ...base, numClasses: 1e9 }));
    expect(error.message).toBe(
      "certify: numClasses must be a number of at most 10000000, got 1000000000",
    );
    const { counts } = await certify(ids, x, { ...base, numClasses: 1e6 });
    expect(counts.slice(0, 2)).toEqual((await certify(ids, x, base)).counts);
    const sure = await predict(ids, [9, 0], { ...shared, n: 100, numClasses: 1e6 });
    expect(sure.prediction).toBe(1);
  });

  it("refuses noise that is no finite number, before it is counted", async () => {
    let rows = 0;
    const counted = (batch: Float32Array, shape: number[]) => {
      rows += shape[0]!;
      return ids(batch, shape);
    };
    for (const bad of [Number.NaN, Infinity]) {
      const fill = (out: Float32Array) => {
        out.fill(0.1);
        out[5] = bad;
      };
      const noise = { generator: "bad", fill };
      const error = await errorOf(certify(counted, x, { ...base, noise }));
      expect(error.message).toBe(
        `certify: the noise must give finite numbers, got ${bad} at element 1 of row 2 of a batch`,
      );
    }
    expect(rows).toBe(0);
  });

  it("names what a data set must give", async () => {
    const dataset = { ...steps(3), get: () => undefined as never };
    const all = { ...base, n: 10 };
    const run = async () => {
      for await (const _ of certifyDataset(halves, dataset, all));
    };
    expect((await errorOf(run())).message).toBe(
      "certifyDataset: get(0) of the data set must give { image, label }, got undefined",
    );
  });
});

describe("denoised", () => {
  const same = (batch: Float32Array) => batch.slice();

  it("takes class ids, with the caller's number of classes or the classifier's own", async () => {
    const want = await certify(ids, x, base);
    expect(await certify(denoised(same, ids), x, base)).toEqual(want);
    const { numClasses: _, ...rest } = base;
    const declared = { predict: ids, numClasses: 2 };
    expect(await certify(denoised(same, declared), x, rest)).toEqual(want);
    const error = await errorOf(certify(denoised(same, ids), x, rest));
    expect(error.message).toContain("certify: numClasses is needed");
  });

  it("refuses pixels that are no finite numbers", async () => {
    for (const bad of [Number.NaN, Infinity]) {
      const broken = (batch: Float32Array) => batch.map((value, i) => (i === 3 ? bad : value));
      const error = await errorOf(certify(denoised(broken, ids), x, base));
      expect(error.message).toBe(
        `certify: the denoiser must give finite numbers, got ${bad} at element 1 of row 1 of a batch`,
      );
    }
  });
});

describe("options that only certify has", () => {
  it("are refused by certifyAtRadius and certifyAdaptive", async () => {
    const at = (more: object) => certifyAtRadius(ids, x, { ...shared, radius: 0.1, ...more });
    const adaptive = (more: object) => certifyAdaptive(ids, x, { ...shared, ...more });
    expect((await errorOf(at({ norm: "linf" }))).message).toBe(
      'certifyAtRadius: norm must be "l2", the only one supported here, got "linf"; use certify for others',
    );
    expect((await errorOf(at({ bound: "two-class" }))).message).toContain('"one-class"');
    expect((await errorOf(adaptive({ norm: "linf" }))).message).toContain('must be "l2"');
    expect((await errorOf(adaptive({ bound: "both" }))).message).toContain('"one-class"');
    const uniform = { distribution: "uniform", norm: "l2" };
    expect((await errorOf(adaptive(uniform))).message).toContain('must be "l1"');
    expect(await at({ norm: "l2", bound: "one-class" })).toEqual(await at({}));
    expect(await adaptive({ norm: "l2" })).toEqual(await adaptive({}));
  });
});

describe("certifyAtRadius", () => {
  it("refuses a label that the classifier does not have, as soon as it can be known", async () => {
    let rows = 0;
    const logits = (batch: Float32Array, [n = 0]: number[]) => {
      rows += n;
      return Array.from({ length: n }, (_, i) => [0, batch[2 * i]!]);
    };
    const message =
      "certifyAtRadius: label must be one of the classifier's 2 classes, 0 … 1, got 7";
    const settings = {
      seed: 0,
      sigma: 0.25,
      radius: 0.1,
      label: 7,
      batchSize: 16,
      range: [-1, 1] as const,
    };
    const told = await errorOf(certifyAtRadius(logits, x, { ...settings, numClasses: 2 }));
    expect([told.message, told.code, rows]).toEqual([message, "argument", 0]);
    const seen = await errorOf(certifyAtRadius(logits, x, settings));
    expect(seen.message).toBe(message);
    expect(rows).toBeLessThan(100);
  });

  it("says that a radius is too large, whatever patience would be", async () => {
    const error = await errorOf(certifyAtRadius(ids, x, { ...shared, sigma: 0.25, radius: 5 }));
    expect(error.message).toContain("100000 samples cannot certify radius 5 at sigma 0.25");
    const bad = certifyAtRadius(ids, x, { ...shared, radius: 0.5, patience: -1 });
    expect((await errorOf(bad)).message).toContain("patience must be an integer of at least 1");
  });
});
