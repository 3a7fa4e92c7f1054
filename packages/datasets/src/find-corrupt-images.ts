import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { ahead } from "./ahead.ts";
import type { PixelDataset } from "./dataset.ts";

/**
 * Decodes every image once and lists those that cannot be read: worth doing before a run of days.
 *
 * @param options `onProgress` is called after each image with the number done
 * @returns one error per damaged image, with the file's name and the reason; empty if all is well
 *
 * @example
 * ```ts
 * const damaged = await findCorruptImages(await loadImageFolder("./imagenet", { split: "train" }));
 * for (const { message } of damaged) console.log(message);
 * ```
 */
export async function findCorruptImages(
  dataset: PixelDataset,
  options: { readonly onProgress?: (done: number) => void } = {},
): Promise<DmaeError[]> {
  checkOptions("findCorruptImages", options, { onProgress: true });
  const damaged: DmaeError[] = [];
  let done = 0;
  for await (const error of ahead(0, dataset.length, (index) => readError(dataset, index))) {
    if (error) damaged.push(error);
    options.onProgress?.(++done);
  }
  return damaged;
}

/** The error of reading an image; other errors than damage are thrown. */
async function readError(dataset: PixelDataset, index: number): Promise<DmaeError | undefined> {
  try {
    await dataset.pixels(index);
    return undefined;
  } catch (error) {
    if (DmaeError.isInstance(error, "file")) return error;
    throw error;
  }
}
