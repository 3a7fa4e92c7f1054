import {
  DmaeError,
  type ImageDataset,
  type ImageShape,
  type Key,
  type LabeledImage,
} from "@dmae/core";
import { datasetName, type OptionNames, refusePromise } from "@dmae/core/checks";
import { isPixelDataset } from "./dataset.ts";
import type { ImageWorkers } from "./image-workers.ts";
import { type ImageOperation, isRandom } from "./operations.ts";

/** Which image a transform is given. */
export interface TransformContext {
  /** The image's own key, from the batch key, the epoch and the index; absent without a batch key. */
  readonly key?: Key | undefined;
  /** The epoch. */
  readonly epoch: number;
  /** Position of the image in the data set. */
  readonly index: number;
  /** Shape of the image. */
  readonly imageShape: ImageShape;
}

/** A transform as a function: it runs on the calling thread and keeps the image's shape. */
export type ImageTransform = (
  image: LabeledImage,
  context: TransformContext,
) => LabeledImage | Promise<LabeledImage>;

/** Options of {@link batches} and {@link batchLoader}. */
export interface BatchOptions {
  /** Number of images in a batch. */
  readonly batchSize: number;
  /** New order in every epoch, a function of `key` and the epoch alone; false by default. */
  readonly shuffle?: boolean | undefined;
  /** Needed for `shuffle` and for random operations. */
  readonly key?: Key | undefined;
  /** Operations on the bytes, or a function of the float image. Default: the data set's own `get`. */
  readonly transform?: readonly ImageOperation[] | ImageTransform | undefined;
  /** Leaves out a last batch that is not full; false by default. */
  readonly dropLast?: boolean | undefined;
  /** Batches prepared ahead of the one asked for; 2 by default. */
  readonly prefetch?: number | undefined;
  /**
   * Threads that decode, transform and draw noise: their number (then the loader starts and ends them), or
   * `createImageWorkers` to share them. 0, the default, works on the calling thread. With a data set of
   * this package and operations, not with a function.
   */
  readonly workers?: number | ImageWorkers | undefined;
  /**
   * Called for each damaged image file, which is then replaced by the next readable image of the data set
   * (`indices` says which). Without it, a damaged image is an error.
   */
  readonly onCorrupt?: ((error: DmaeError) => void) | undefined;
  /**
   * Draws standard normal noise ahead of the step: one key per copy of the batch in this epoch. Batches then
   * have `noise`, `[copies * B, H, W, C]`, whose row `copy * B + i` is
   * `normal(keys[copy], …, { index: indices[i] })`.
   */
  readonly noiseKeys?: ((epoch: number) => readonly Key[]) | undefined;
  /**
   * Loads only these rows of every batch, in this order: the share of one of several processes. `batchSize` is that of
   * all of them. Needs `dropLast`. Default: all rows.
   */
  readonly rows?: ArrayLike<number> | undefined;
}

/** The names of {@link BatchOptions}. */
export const batchNames = {
  batchSize: true,
  shuffle: "boolean",
  key: true,
  transform: true,
  dropLast: "boolean",
  prefetch: true,
  workers: true,
  onCorrupt: "function",
  noiseKeys: "function",
  rows: true,
} satisfies OptionNames<BatchOptions>;

/** Throws for options outside their ranges. */
export function checkBatchOptions(
  caller: string,
  dataset: ImageDataset,
  { batchSize, shuffle, key, transform, dropLast, prefetch = 0, workers = 0, rows }: BatchOptions,
): void {
  refusePromise(caller, dataset);
  const fail = (message: string) => {
    throw new DmaeError("argument", `${caller}: ${message}`);
  };
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    fail(`batchSize must be a positive integer, got ${batchSize}`);
  if (dataset.length < 1) fail(`${datasetName(dataset)} has no images`);
  if (dropLast && batchSize > dataset.length)
    fail(`batchSize ${batchSize} with dropLast leaves no batch of the ${dataset.length} images`);
  if (!Number.isInteger(prefetch) || prefetch < 0 || prefetch > 1024)
    fail(`prefetch must be an integer in [0, 1024], got ${prefetch}`);
  if (transform !== undefined && typeof transform !== "function" && !Array.isArray(transform))
    fail(`transform must be a list of operations or a function, got ${transform}`);
  if (rows !== undefined) {
    if (!dropLast) fail("rows need dropLast: true, so that every batch has them");
    const wrong = Array.from(rows).find((r) => !(Number.isInteger(r) && r >= 0 && r < batchSize));
    if (wrong !== undefined || rows.length === 0)
      fail(`rows must be positions in a batch of ${batchSize}, got ${wrong ?? "none"}`);
  }
  if (shuffle && !key) fail("shuffle needs a key; pass key: key(seed)");
  const random = Array.isArray(transform) && transform.find(isRandom);
  if (random && !key) fail(`the operation ${random.op} needs a key; pass key: key(seed)`);
  const isPool = typeof workers === "object" && typeof workers?.close === "function";
  if (!isPool && (!Number.isInteger(workers) || Number(workers) < 0 || Number(workers) > 1024))
    fail(`workers must be an integer in [0, 1024] or createImageWorkers(…), got ${workers}`);
  if (workers && (typeof transform === "function" || !isPixelDataset(dataset)))
    fail("workers need a data set of @dmae/datasets and a transform of operations, not a function");
}
