import { DmaeError, type ImageShape } from "@dmae/core";
import type { ImageOperation } from "@dmae/datasets";
import type { NoisyBatch } from "./noise.ts";

/**
 * Batches by number: batch `step` is the same whenever it is asked for. A `batchLoader(…)` of `@dmae/datasets`
 * (with `dropLast`) is one.
 */
export interface BatchSource {
  /** Batches in an epoch. */
  readonly stepsPerEpoch: number;
  /** Images in each batch, if known in advance; compared with the recipe's `batchSize`. */
  readonly batchSize?: number;
  /** Images in the last batch of an epoch, if known in advance; it must be `batchSize`. */
  readonly lastBatchSize?: number;
  /** Shape of the images in the batches. */
  readonly imageShape: ImageShape;
  /** The operations that the images go through; compared with the recipe's `augmentation`. */
  readonly operations?: readonly ImageOperation[];
  /** Batch `step`, `step = epoch * stepsPerEpoch + iteration`; all of one size. */
  at(step: number): Promise<NoisyBatch>;
}

/**
 * `source`, with every batch checked to hold as many images as the recipe says: the learning rate scales with them.
 *
 * @param caller the function whose name errors carry
 * @throws DmaeError "argument" naming both sizes: at once if the source states its size, else with the first batch
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
  if (source.lastBatchSize !== undefined) check(source.lastBatchSize, "the last batch of an epoch");
  return {
    ...source,
    batchSize,
    async at(step) {
      const batch = await source.at(step);
      check(batch.size, `batch ${step}`);
      return batch;
    },
  };
}
