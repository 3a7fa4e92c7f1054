import { DmaeError, type ImageDataset } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { createLoader } from "./batch-loader.ts";
import { type BatchOptions, batchNames } from "./batch-options.ts";
import type { LoadedBatch } from "./render-batch.ts";

/**
 * The batches of one epoch, as an async iterator that prepares the next ones ahead.
 *
 * @param dataset any `ImageDataset`
 * @param given `epoch` (0 by default) chooses the order and the draws of the transforms
 * @returns batches of float32 NHWC images in [0, 1]; the last may be smaller, see `dropLast`
 * @throws DmaeError "argument" for options outside their ranges; "file" for damaged images
 *
 * @example
 * ```ts
 * import { key } from "@dmae/core";
 * import { batches, fashionMnist } from "@dmae/datasets";
 *
 * const { train } = await fashionMnist();
 * for (let epoch = 0; epoch < 10; epoch++)
 *   for await (const batch of batches(train, { batchSize: 128, shuffle: true, key: key(0), epoch })) {
 *     batch.images; // Float32Array, [128, 28, 28, 1]
 *   }
 * ```
 */
export async function* batches(
  dataset: ImageDataset,
  given: BatchOptions & { readonly epoch?: number | undefined },
): AsyncGenerator<LoadedBatch, void, undefined> {
  checkOptions("batches", given, { ...batchNames, epoch: true });
  const { epoch = 0, ...options } = given;
  if (!Number.isInteger(epoch) || epoch < 0)
    throw new DmaeError("argument", `batches: epoch must be a non-negative integer, got ${epoch}`);
  const perEpoch = Math[options.dropLast ? "floor" : "ceil"](dataset.length / options.batchSize);
  const end = (epoch + 1) * perEpoch;
  const loader = createLoader("batches", dataset, options, end);
  try {
    for (let step = epoch * perEpoch; step < end; step++) yield await loader.at(step);
  } finally {
    await loader.close();
  }
}
