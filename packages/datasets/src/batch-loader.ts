import {
  type Batch,
  DmaeError,
  foldIn,
  type ImageDataset,
  type ImageShape,
  type Key,
  permutation,
} from "@dmae/core";
import { type BatchOptions, checkBatchOptions } from "./batch-options.ts";
import { createRenderer, type Renderer } from "./render.ts";

/** Batches by their step number, prepared ahead; see {@link batchLoader}. */
export interface BatchLoader {
  /** Number of batches in an epoch. */
  readonly stepsPerEpoch: number;
  /** Shape of the images in the batches. */
  readonly imageShape: ImageShape;
  /**
   * The batch of `step`, counted from 0 across epochs: a function of data set, options and step
   * alone. The steps that follow are prepared meanwhile.
   */
  at(step: number): Promise<Batch>;
  /** Lets go of what was prepared. */
  close(): Promise<void>;
}

/**
 * Batches by step number: batch `step` is the same whether it is asked for first or last, so a run
 * that goes on at step 1,000 sees what it would have seen.
 *
 * The order of epoch `e` is `permutation(foldIn(key, e))`; the draws of image `i` come from
 * `foldIn(foldIn(foldIn(key, "image"), e), i)`, whatever the batch size.
 *
 * @throws DmaeError "argument" for options outside their ranges
 *
 * @example
 * ```ts
 * const loader = batchLoader(train, { batchSize: 128, shuffle: true, key: key(1), dropLast: true });
 * for (let step = 0; step < 1000; step++) await trainStep(await loader.at(step));
 * await loader.close();
 * ```
 */
export function batchLoader(dataset: ImageDataset, options: BatchOptions): BatchLoader {
  return createLoader("batchLoader", dataset, options, Number.POSITIVE_INFINITY);
}

/** A loader that prepares nothing from step `end` on. */
export function createLoader(
  caller: string,
  dataset: ImageDataset,
  options: BatchOptions,
  end: number,
): BatchLoader {
  checkBatchOptions(caller, dataset, options);
  const { batchSize, dropLast = false, prefetch = 2 } = options;
  const stepsPerEpoch = Math[dropLast ? "floor" : "ceil"](dataset.length / batchSize);
  const order = epochOrders(dataset.length, options);
  const renderer = createRenderer(dataset, options);
  const prepared = new Map<number, Promise<Batch>>();
  const prepare = (step: number) => {
    const existing = prepared.get(step);
    if (existing) return existing;
    const epoch = Math.floor(step / stepsPerEpoch);
    const start = (step % stepsPerEpoch) * batchSize;
    const indices = Int32Array.from(order(epoch).subarray(start, start + batchSize));
    const batch = renderBatch(renderer, indices, imageKeys(options.key, epoch), epoch);
    batch.catch(() => {}); // whoever asks for the step gets the error
    prepared.set(step, batch);
    return batch;
  };
  return {
    stepsPerEpoch,
    imageShape: renderer.imageShape,
    async at(step) {
      if (!Number.isInteger(step) || step < 0)
        throw new DmaeError(
          "argument",
          `${caller}: step must be a non-negative integer, got ${step}`,
        );
      for (const old of prepared.keys())
        if (old < step || old > step + prefetch) prepared.delete(old);
      const batch = prepare(step);
      for (let next = step + 1; next <= step + prefetch && next < end; next++) prepare(next);
      return batch;
    },
    async close() {
      const pending = [...prepared.values()];
      prepared.clear();
      await Promise.allSettled(pending);
    },
  };
}

async function renderBatch(
  renderer: Renderer,
  indices: Int32Array,
  keyOf: (index: number) => Key | undefined,
  epoch: number,
): Promise<Batch> {
  const { imageShape } = renderer;
  const images = new Float32Array(indices.length * imageShape[0] * imageShape[1] * imageShape[2]);
  const labels = new Int32Array(indices.length);
  await renderer.render({ indices, keyOf, epoch, images, labels });
  return { images, labels, indices, size: indices.length, imageShape };
}

/** The keys of the images of one epoch. */
function imageKeys(key: Key | undefined, epoch: number): (index: number) => Key | undefined {
  if (!key) return () => undefined;
  const stream = foldIn(foldIn(key, "image"), epoch);
  return (index) => foldIn(stream, index);
}

/** The order of the images in each epoch; the last two epochs asked for are kept. */
function epochOrders(length: number, { shuffle = false, key }: BatchOptions) {
  if (!shuffle || !key) {
    const order = Uint32Array.from({ length }, (_, i) => i);
    return () => order;
  }
  const orders = new Map<number, Uint32Array>();
  return (epoch: number) => {
    const known = orders.get(epoch);
    if (known) return known;
    const order = permutation(foldIn(key, epoch), length);
    const oldest = orders.keys().next();
    if (orders.size === 2 && !oldest.done) orders.delete(oldest.value);
    orders.set(epoch, order);
    return order;
  };
}
