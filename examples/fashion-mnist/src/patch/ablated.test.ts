import "@tensorflow/tfjs-backend-cpu";
import { join } from "node:path";
import { compiledExecutor } from "@dmae/compile";
import { type ImageDataset, key, uniform } from "@dmae/core";
import { selectBackend, toHost } from "@dmae/nn";
import { certifyDatasetPatch, type PatchRow } from "@dmae/smoothing-certify";
import { createViT } from "@dmae/vit";
import { visibleTokens } from "@dmae/vit/parts";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { ablatedImages, ablatedTokens } from "./ablated.ts";

const folder = temporaryFolders("patch");
const vit = createViT({
  ...{ imageSize: 28, patchSize: 7, channels: 1, mean: [0.3], std: [0.4] },
  ...{ width: 8, depth: 1, heads: 2, numClasses: 3, globalPool: true },
});
const rows = 7; // four bands inside a column of patches, three over two
const image = uniform(key("image"), new Float32Array(rows * 784));
const targets = () => tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2, 0], "int32"), 3);

/** A copy `[1, 28, 28, 2]` of a row's image that keeps four columns from `start` on. */
function copyOf(row: number, start: number): Float32Array {
  const copy = new Float32Array(2 * 784);
  for (let pixel = 0; pixel < 784; pixel++) {
    if (((pixel % 28) - start + 28) % 28 >= 4) continue;
    copy[2 * pixel] = image[784 * row + pixel]!;
    copy[2 * pixel + 1] = 1;
  }
  return copy;
}

const crossEntropy = (logits: ArrayLike<number>, label: number) => {
  const values = Array.from(logits);
  return Math.log(values.reduce((sum, v) => sum + Math.exp(v), 0)) - values[label]!;
};

test("the loss on visible tokens is that of the certified copies", async () => {
  await selectBackend("cpu");
  const params = vit.init(key(1));
  params["head.weight"] = tf.tensor(uniform(key("head"), new Float32Array(24)), [3, 8]);
  const draws = [0, 0.3, 0.6, 0.99, 0, 0.5, 0.999];
  // the first four: column of patches and offset 0 … 3 in it, floor(16 u); the others: offset 4 … 6, floor(12 u)
  const starts = [0, 7 * 1 + 0, 7 * 2 + 1, 7 * 3 + 3, 4, 7 * 2 + 4, 7 * 3 + 6];
  const { loss } = ablatedTokens(vit, 4).loss(
    vit.apply,
    params,
    { images: tf.tensor4d(image, [rows, 28, 28, 1]), targets: targets() },
    { noise: tf.zeros([rows, 28, 28, 1]), sigma: 0, uniform: tf.tensor1d(draws) },
  );
  const classify = visibleTokens(vit, params);
  let sum = 0;
  for (const [row, start] of starts.entries())
    sum += crossEntropy(await classify.predict(copyOf(row, start), [1, 28, 28, 2]), row % 3);
  expect(loss.dataSync()[0]).toBeCloseTo(sum / rows, 5);
});

test("compiled, the visible tokens give the same logits, with one graph for each number of them", async () => {
  await selectBackend("cpu");
  const params = vit.init(key(1));
  const starts = [0, 7, 15, 24, 4, 18, 27, 2, 20];
  const batch = Float32Array.from(starts.flatMap((start, row) => [...copyOf(row % rows, start)]));
  const shape = [starts.length, 28, 28, 2];
  const want = await visibleTokens(vit, params).predict(batch, shape);
  const executor = compiledExecutor();
  const compiled = visibleTokens(vit, await toHost(params), { executor, batchSize: 4 });
  expectClose(await compiled.predict(batch, shape), want, { relative: 1e-4, absolute: 1e-6 });
  compiled.dispose();
});

test("a certification of visible tokens goes on with its log", async () => {
  await selectBackend("cpu");
  const tensors = vit.init(key(1));
  tensors["head.weight"] = tf.tensor(uniform(key("head"), new Float32Array(24)), [3, 8]);
  const classify = visibleTokens(vit, tensors);
  const dataset: ImageDataset = {
    ...{ name: "noise", length: 3, imageShape: [28, 28, 1], numClasses: 3 },
    get: (i) => ({ image: image.slice(784 * i, 784 * (i + 1)), label: i }),
  };
  const run = (more: object) =>
    certifyDatasetPatch(classify, dataset, {
      ...{ ablation: { columns: 4 }, stride: 7, encoding: "mask", ...more },
    }).toArray();
  const votes = (rows: readonly PatchRow[]) => rows.map(({ idx, counts }) => [idx, counts]);
  const log = join(folder(), "log.tsv");
  const whole = await run({});
  await run({ log, max: 1 });
  expect(votes(await run({ log }))).toEqual(votes(whole));
});

test("every band is drawn, and equally often", async () => {
  await selectBackend("cpu");
  const starts: number[] = [];
  const spy = {
    ...vit,
    logits: (_: unknown, x: tf.Tensor) => {
      const data = x.dataSync();
      for (let row = 0; row < x.shape[0]!; row++) {
        const kept = (column: number) => data[784 * row + ((column + 28) % 28)]! > 0;
        starts.push(Array.from({ length: 28 }, (_, c) => c).find((c) => kept(c) && !kept(c - 1))!);
      }
      return tf.zeros([x.shape[0]!, 3]);
    },
  } as unknown as typeof vit;
  // 28 rows: one draw for each of the 16 bands inside a column of patches, and for each of the 12 over two
  const draws = Array.from({ length: 28 }, (_, row) =>
    row < 16 ? (row + 0.5) / 16 : (row - 16 + 0.5) / 12,
  );
  ablatedTokens(spy, 4).loss(
    vit.apply,
    {},
    { images: tf.ones([28, 28, 28, 1]), targets: tf.oneHot(tf.zeros([28], "int32"), 3) },
    { noise: tf.zeros([1]), sigma: 0, uniform: tf.tensor1d(draws) },
  );
  expect(starts.sort((a, b) => a - b)).toEqual(Array.from({ length: 28 }, (_, c) => c));
});

test("a convolutional net sees the kept columns and where they are", async () => {
  await selectBackend("cpu");
  let shown: tf.Tensor | undefined;
  ablatedImages(4).loss(
    (_, x) => {
      shown = tf.keep(x);
      return { logits: tf.zeros([2, 3]) };
    },
    {},
    {
      images: tf.tensor4d(image.subarray(0, 2 * 784), [2, 28, 28, 1]),
      targets: tf.oneHot(tf.tensor1d([0, 1], "int32"), 3),
    },
    { noise: tf.zeros([1]), sigma: 0, uniform: tf.tensor1d([0.1, 0.97]) }, // starts 2 and 27, which wraps
  );
  expect(Array.from(shown!.dataSync())).toEqual([...copyOf(0, 2), ...copyOf(1, 27)]);
});
