import {
  DmaeError,
  foldIn,
  type ImageDataset,
  type ImageShape,
  type Key,
  type LabeledImage,
  permutation,
} from "@dmae/core";
import type { NoisyBatch } from "./noise.ts";

/** What an image transform may depend on besides the image. */
export interface TransformContext {
  /** The key of this image in this epoch: draw from nothing else. */
  readonly key: Key;
  /** Epoch, from 0. */
  readonly epoch: number;
  /** Position of the image in its data set. */
  readonly index: number;
  /** Shape of the image that came. */
  readonly imageShape: ImageShape;
}

/** Augments one image and keeps its shape, values in [0, 1]. */
export type ImageTransform = (
  image: LabeledImage,
  context: TransformContext,
) => LabeledImage | Promise<LabeledImage>;

/**
 * Batches by number: batch `step` is the same whenever it is asked for. A `batchLoader(…)` of `@dmae/datasets`
 * (with `dropLast`) is one; so is {@link shuffledBatches}.
 */
export interface BatchSource {
  /** Batches in an epoch. */
  readonly stepsPerEpoch: number;
  /** Images in each batch, where the source says it; compared with that of the recipe. */
  readonly batchSize?: number;
  /** Shape of the images in the batches. */
  readonly imageShape: ImageShape;
  /** Batch `step`, `step = epoch * stepsPerEpoch + iteration`; all of one size. */
  at(step: number): Promise<NoisyBatch>;
}

/** Options of {@link shuffledBatches}. */
export interface ShuffledBatchesOptions {
  /** Images in a batch; what an epoch leaves over is dropped, as in the official loaders. */
  readonly batchSize: number;
  /** Keys the order of each epoch and the draws of the transform. */
  readonly key: Key;
  /** Augmentation of each image. */
  readonly transform?: ImageTransform;
  /** Whether nobody will read the labels, as in pre-training: images may then come without. */
  readonly unlabelled?: boolean;
}

/**
 * Shuffled, augmented batches of a data set by step. The order of epoch `e` is `permutation(foldIn(key, e))`, the
 * key of image `i` is `foldIn(foldIn(foldIn(key, "image"), e), i)`: those of `batchLoader` in `@dmae/datasets`,
 * which also works in threads and on bytes.
 */
export function shuffledBatches(
  dataset: ImageDataset,
  options: ShuffledBatchesOptions,
): BatchSource {
  const { batchSize, key, transform, unlabelled = false } = options;
  const { imageShape } = dataset;
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > dataset.length)
    throw new DmaeError(
      "argument",
      `shuffledBatches: batchSize must lie in 1 … ${dataset.length} (images of ${dataset.name}), got ${batchSize}`,
    );
  if (transform !== undefined && typeof transform !== "function")
    throw new DmaeError(
      "argument",
      `shuffledBatches: transform must be a function of an image, got ${Array.isArray(transform) ? "an array" : typeof transform}; ` +
        "operations are for batchLoader of @dmae/datasets",
    );
  const stepsPerEpoch = Math.floor(dataset.length / batchSize);
  const pixels = imageShape[0] * imageShape[1] * imageShape[2];
  const orderOf = epochOrders(dataset.length, key);

  async function load(index: number, epoch: number, imageKey: Key): Promise<LabeledImage> {
    const item = await dataset.get(index);
    const made = transform
      ? await transform(item, { key: imageKey, epoch, index, imageShape })
      : item;
    if (made.image.length !== pixels)
      throw new DmaeError(
        "shape",
        `shuffledBatches: image ${index} must have ${pixels} values (${imageShape.join(" x ")}), got ${made.image.length}`,
      );
    if (!unlabelled) requireLabel(made.label, index);
    return made;
  }
  return {
    stepsPerEpoch,
    batchSize,
    imageShape,
    async at(step) {
      const epoch = Math.floor(step / stepsPerEpoch);
      const start = (step - epoch * stepsPerEpoch) * batchSize;
      const indices = Int32Array.from(orderOf(epoch).subarray(start, start + batchSize));
      const epochKey = foldIn(foldIn(key, "image"), epoch);
      const items = await Promise.all(
        Array.from(indices, (index) => load(index, epoch, foldIn(epochKey, index))),
      );
      const images = new Float32Array(batchSize * pixels);
      items.forEach(({ image }, row) => {
        images.set(image, row * pixels);
      });
      const labels = Int32Array.from(items, ({ label }) => label);
      return { images, labels, indices, size: batchSize, imageShape };
    },
  };
}

/** `source` itself where it has batches, else the shuffled batches of the data set. */
export function toBatchSource(
  source: ImageDataset | BatchSource,
  options: ShuffledBatchesOptions,
): BatchSource {
  return "at" in source ? source : shuffledBatches(source, options);
}

/**
 * `source`, whose batches must hold the images that the recipe says: the learning rate is scaled with them.
 *
 * @param caller the function on whose behalf it checks
 * @throws DmaeError "argument" naming both sizes: at once where the source says its size, else with the first batch
 */
export function withBatchSize(source: BatchSource, batchSize: number, caller: string): BatchSource {
  const check = (size: number, what: string) => {
    if (size !== batchSize)
      throw new DmaeError(
        "argument",
        `${caller}: ${what} must hold the batchSize of the recipe, ${batchSize} images, got ${size}; ` +
          "set one to the other, and dropLast: true in a batchLoader",
        { expected: batchSize, received: size },
      );
  };
  if (source.batchSize !== undefined) check(source.batchSize, "the batches of the source");
  return {
    stepsPerEpoch: source.stepsPerEpoch,
    batchSize,
    imageShape: source.imageShape,
    async at(step) {
      const batch = await source.at(step);
      check(batch.size, `batch ${step}`);
      return batch;
    },
  };
}

function requireLabel(label: number, index: number): void {
  if ((label | 0) === label) return;
  throw new DmaeError(
    "argument",
    `shuffledBatches: the label of image ${index} must be a 32-bit integer, got ${label}`,
    { index, label },
  );
}

function epochOrders(length: number, key: Key): (epoch: number) => Uint32Array {
  let cached: { epoch: number; order: Uint32Array } | undefined;
  return (epoch) => {
    if (cached?.epoch !== epoch) cached = { epoch, order: permutation(foldIn(key, epoch), length) };
    return cached.order;
  };
}
