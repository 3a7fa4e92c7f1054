import { DmaeError } from "@dmae/core";
import type { Params } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import type { ViTConfig } from "./config.ts";
import type { ViT } from "./vit.ts";

/** A classifier of ablated copies, as `certifyPatch` of `@dmae/smoothing-certify` takes it. */
export interface AblationClassifier {
  /** It reads its batches from ordinary memory. */
  readonly input: "array";
  readonly numClasses: number;
  readonly name: string;
  /** Logits `[n, numClasses]`, row by row, of copies `[n, H, W, channels + 1]`. */
  predict(batch: Float32Array, shape: readonly number[]): Promise<Float32Array>;
}

/**
 * A Smoothed ViT (Salman et al. 2022, arXiv:2110.07719): classifies copies of an image of which only a part is
 * kept, from the patches that show some of that part; all others are dropped in front of the first block, so that a
 * copy costs what its visible patches cost.
 *
 * @param params of `vit`; they must live as long as the classifier
 * @returns a classifier for `certifyPatch` with `encoding: "mask"`: the last channel says where a pixel is kept
 * @throws DmaeError "shape" for a batch of other images, "argument" for a copy that keeps nothing
 * @example
 * const classify = visibleTokens(vit, params);
 * await certifyPatch(classify, image, { patch: 5, ablation: { columns: 4 }, encoding: "mask" });
 */
export function visibleTokens(vit: ViT, params: Params): AblationClassifier {
  const { config, numClasses } = vit;
  return {
    input: "array",
    numClasses,
    name: "visibleTokens",
    async predict(batch, shape) {
      checkBatch(config, batch, shape);
      const logits = new Float32Array(shape[0]! * numClasses);
      for (const group of groupByCount(config, batch, shape[0]!)) {
        const found = tf.tidy(() => {
          const images = imagesOf(config, batch, group);
          const ids = Int32Array.from(group.flatMap(({ patches }) => patches));
          const visible = tf.tensor2d(ids, [group.length, group[0]!.patches.length], "int32");
          return vit.logits(params, images, { visible });
        });
        const values = await found.data();
        found.dispose();
        group.forEach(({ row }, i) => {
          logits.set(values.subarray(i * numClasses, (i + 1) * numClasses), row * numClasses);
        });
      }
      return logits;
    },
  };
}

/** A copy and the patches of it that show something. */
interface Copy {
  readonly row: number;
  readonly patches: number[];
}

/** Copies with as many visible patches go through the model together. */
function groupByCount(config: ViTConfig, batch: Float32Array, rows: number): Copy[][] {
  const groups = new Map<number, Copy[]>();
  for (let row = 0; row < rows; row++) {
    const patches = patchesOf(config, batch, row);
    if (patches.length === 0)
      throw new DmaeError(
        "argument",
        `visibleTokens: each copy must keep a pixel, got row ${row} whose last channel is 0 everywhere`,
        { row },
      );
    const group = groups.get(patches.length);
    if (group) group.push({ row, patches });
    else groups.set(patches.length, [{ row, patches }]);
  }
  return [...groups.values()];
}

/** The patches over which the last channel is anywhere other than 0. */
function patchesOf(
  { inputSize, imageSize, patchSize, channels }: ViTConfig,
  batch: Float32Array,
  row: number,
): number[] {
  const grid = imageSize / patchSize;
  const seen = new Uint8Array(grid * grid);
  const first = (pixel: number) => Math.floor((pixel * grid) / inputSize);
  const last = (pixel: number) => Math.ceil(((pixel + 1) * grid) / inputSize) - 1;
  for (let y = 0; y < inputSize; y++)
    for (let x = 0; x < inputSize; x++) {
      const pixel = (row * inputSize + y) * inputSize + x;
      if (batch[pixel * (channels + 1) + channels] === 0) continue;
      // a pixel that is enlarged may lie over several patches
      for (let r = first(y); r <= last(y); r++)
        for (let c = first(x); c <= last(x); c++) seen[r * grid + c] = 1;
    }
  return Array.from(seen.keys()).filter((patch) => seen[patch] === 1);
}

/** The copies of a group without their last channel. */
function imagesOf(config: ViTConfig, batch: Float32Array, group: readonly Copy[]): tf.Tensor {
  const { inputSize, channels } = config;
  const size = inputSize * inputSize;
  const images = new Float32Array(group.length * size * channels);
  group.forEach(({ row }, i) => {
    for (let pixel = 0; pixel < size; pixel++)
      for (let c = 0; c < channels; c++)
        images[(i * size + pixel) * channels + c] =
          batch[(row * size + pixel) * (channels + 1) + c]!;
  });
  return tf.tensor4d(images, [group.length, inputSize, inputSize, channels]);
}

function checkBatch(config: ViTConfig, batch: Float32Array, shape: readonly number[]): void {
  const { inputSize, channels } = config;
  const want = [inputSize, inputSize, channels + 1];
  const size = shape.reduce((product, length) => product * length, 1);
  if (shape.length === 4 && String(shape.slice(1)) === String(want) && batch.length === size)
    return;
  throw new DmaeError(
    "shape",
    `visibleTokens: a batch must be [n, ${want.join(", ")}], the last channel 1 where a pixel is kept, got [${shape}]; use encoding: "mask"`,
  );
}
