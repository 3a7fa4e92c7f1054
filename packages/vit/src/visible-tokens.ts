import { DmaeError, type HostTensors } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import type { Executor, Params } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import type { ViTConfig } from "./config.ts";
import { PreparedModel } from "./prepared-visible.ts";
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

/** An {@link AblationClassifier} whose model runs on an executor. */
export interface PreparedAblationClassifier extends AblationClassifier {
  /** Frees the model. */
  dispose(): void;
}

/** How {@link visibleTokens} runs the model. */
export interface VisibleTokensOptions {
  /**
   * Runs the model, e.g. `compiledExecutor()` of `@dmae/compile`: one program for each number of visible patches,
   * made when that number first occurs; the patches' places are inputs of it. Each holds the parameters.
   */
  readonly executor: Executor;
  /** Copies in one run of a program; the last run is filled up. Default 16. */
  readonly batchSize?: number | undefined;
}

const optionNames = {
  executor: true,
  batchSize: true,
} satisfies OptionNames<VisibleTokensOptions>;

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
export function visibleTokens(vit: ViT, params: Params): AblationClassifier;
/**
 * The same on the executor of `options`, such as `compiledExecutor()` of `@dmae/compile`.
 *
 * @param params of `vit`
 * @returns a classifier that you dispose of
 * @throws DmaeError "argument" for options that are no executor or no batch size; else as above
 * @example
 * const classify = visibleTokens(vit, tuned.params, { executor: compiledExecutor() });
 */
export function visibleTokens(
  vit: ViT,
  params: HostTensors,
  options: VisibleTokensOptions,
): PreparedAblationClassifier;
export function visibleTokens(
  vit: ViT,
  params: Params | HostTensors,
  options?: VisibleTokensOptions,
): AblationClassifier | PreparedAblationClassifier {
  if (options === undefined) return classifierOf(vit, eagerly(vit, params as Params));
  checkOptions("visibleTokens", options, optionNames);
  const { executor, batchSize = 16 } = options;
  if (typeof executor?.prepareFunction !== "function")
    throw new DmaeError(
      "argument",
      "visibleTokens: executor must be an Executor, e.g. compiledExecutor() of @dmae/compile",
    );
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw new DmaeError(
      "argument",
      `visibleTokens: batchSize must be an integer of at least 1, got ${batchSize}`,
    );
  const model = new PreparedModel(vit, params as HostTensors, executor, batchSize);
  const run: RunGroup = (images, visible, rows) => model.run(images, visible, rows);
  return { ...classifierOf(vit, run), dispose: () => model.dispose() };
}

/** Logits `[rows, numClasses]` of images and the patches that are visible of each, as many in each row. */
type RunGroup = (
  images: Float32Array,
  visible: Int32Array,
  rows: number,
) => Promise<ArrayLike<number>>;

function classifierOf({ config, numClasses }: ViT, run: RunGroup): AblationClassifier {
  return {
    input: "array",
    numClasses,
    name: "visibleTokens",
    async predict(batch, shape) {
      checkBatch(config, batch, shape);
      const logits = new Float32Array(shape[0]! * numClasses);
      for (const group of groupByCount(config, batch, shape[0]!)) {
        const visible = Int32Array.from(group.flatMap(({ patches }) => patches));
        const values = await run(imagesOf(config, batch, group), visible, group.length);
        group.forEach(({ row }, i) => {
          for (let c = 0; c < numClasses; c++)
            logits[row * numClasses + c] = values[i * numClasses + c]!;
        });
      }
      return logits;
    },
  };
}

/** Runs a group at once on the current backend. */
function eagerly(vit: ViT, params: Params): RunGroup {
  return async (images, visible, rows) => {
    const found = tf.tidy(() =>
      vit.logits(params, tf.tensor(images, [rows, ...vit.imageShape]) as tf.Tensor4D, {
        visible: tf.tensor2d(visible, [rows, visible.length / rows], "int32"),
      }),
    );
    const values = await found.data();
    found.dispose();
    return values;
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
function imagesOf(
  { inputSize, channels }: ViTConfig,
  batch: Float32Array,
  group: readonly Copy[],
): Float32Array {
  const size = inputSize * inputSize;
  const images = new Float32Array(group.length * size * channels);
  group.forEach(({ row }, i) => {
    for (let pixel = 0; pixel < size; pixel++)
      for (let c = 0; c < channels; c++)
        images[(i * size + pixel) * channels + c] =
          batch[(row * size + pixel) * (channels + 1) + c]!;
  });
  return images;
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
