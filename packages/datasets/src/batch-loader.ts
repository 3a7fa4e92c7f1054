import { DmaeError, foldIn, type ImageDataset, type ImageShape, type Key } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { permutation } from "@dmae/core/random";
import { type BatchOptions, batchNames, checkBatchOptions } from "./batch-options.ts";
import type { PixelDataset } from "./dataset.ts";
import { createPool, type WorkerPool } from "./image-workers.ts";
import type { ImageOperation } from "./operations.ts";
import { createRenderer } from "./render.ts";
import { type BatchMaker, type LoadedBatch, renderBatch } from "./render-batch.ts";

/** Batches by their step number, prepared ahead; see {@link batchLoader}. */
export interface BatchLoader {
  /** Number of batches in an epoch. */
  readonly stepsPerEpoch: number;
  /** Images in a batch (fewer in the last one of an epoch, without `dropLast`, and with `rows`). */
  readonly batchSize: number;
  /** Images in the last batch of an epoch. */
  readonly lastBatchSize: number;
  /** Shape of the images in the batches. */
  readonly imageShape: ImageShape;
  /** The operations that the images go through; absent if the transform is a function. */
  readonly operations?: readonly ImageOperation[];
  /** The damaged images met so far, one error each, with the file's name; see `onCorrupt`. */
  readonly corrupt: readonly DmaeError[];
  /**
   * The batch of `step`, counted from 0 across epochs: a function of data set, options and step
   * alone. The steps that follow are prepared meanwhile.
   */
  at(step: number): Promise<LoadedBatch>;
  /** Lets go of what was prepared and of the threads that the loader started. */
  close(): Promise<void>;
}

/**
 * Batches by step number: batch `step` is the same whether it is asked for first or last, so a run
 * that goes on at step 1,000 sees what it would have seen.
 *
 * The order of epoch `e` is `permutation(foldIn(key, e))`; the draws of image `i` come from
 * `foldIn(foldIn(foldIn(key, "image"), e), i)`, whatever the batch size and the number of workers.
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
  checkOptions("batchLoader", options, batchNames);
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
  const { batchSize, dropLast = false, prefetch = 2, noiseKeys, rows } = options;
  const stepsPerEpoch = Math[dropLast ? "floor" : "ceil"](dataset.length / batchSize);
  const order = epochOrders(dataset.length, options);
  const { pool, own } = choosePool(options);
  const renderer = createRenderer(dataset, options, pool);
  const { corrupt, report } = corruptionLog(options);
  const maker: BatchMaker = { renderer, pool, length: dataset.length, report };
  const prepared = new Map<number, Promise<LoadedBatch>>();

  function prepare(step: number): Promise<LoadedBatch> {
    const existing = prepared.get(step);
    if (existing) return existing;
    const epoch = Math.floor(step / stepsPerEpoch);
    const start = (step % stepsPerEpoch) * batchSize;
    const whole = order(epoch).subarray(start, start + batchSize);
    const indices = rows ? Int32Array.from(rows, (row) => whole[row]!) : Int32Array.from(whole);
    const request = { indices, keyOf: imageKeys(options.key, epoch), epoch };
    const batch = renderBatch(maker, request, noiseKeys?.(epoch));
    batch.catch(() => {}); // whoever asks for the step gets the error
    prepared.set(step, batch);
    return batch;
  }

  return {
    stepsPerEpoch,
    batchSize,
    lastBatchSize: Math.min(batchSize, dataset.length - (stepsPerEpoch - 1) * batchSize),
    imageShape: renderer.imageShape,
    ...operationsOf(dataset, options),
    corrupt,
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
      if (own) await own.close();
      await Promise.allSettled(pending);
    },
  };
}

function operationsOf(dataset: ImageDataset, { transform }: BatchOptions) {
  if (typeof transform === "function") return {};
  return { operations: transform ?? (dataset as Partial<PixelDataset>).transform ?? [] };
}

/** The threads to use, and those to end with the loader. */
function choosePool({ workers = 0 }: BatchOptions): {
  pool: WorkerPool | undefined;
  own: WorkerPool | undefined;
} {
  if (workers === 0) return { pool: undefined, own: undefined };
  if (typeof workers !== "number") return { pool: workers as WorkerPool, own: undefined };
  const own = createPool(workers);
  return { pool: own, own };
}

/** Collects damaged images, each once. */
function corruptionLog({ onCorrupt }: BatchOptions) {
  const corrupt: DmaeError[] = [];
  const known = new Set<string>();
  const report = (error: unknown) => {
    if (!onCorrupt || !DmaeError.isInstance(error, "file")) throw error;
    if (known.has(error.message)) return;
    known.add(error.message);
    corrupt.push(error);
    onCorrupt(error);
  };
  return { corrupt, report };
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
