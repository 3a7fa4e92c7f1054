import { DmaeError, type World } from "@dmae/core";
import { checkOptions, refusePromise } from "@dmae/core/checks";
import { gatherTexts, ranksOf } from "@dmae/core/ranks";
import { ahead } from "./ahead.ts";
import type { PixelDataset } from "./dataset.ts";
import { eachOnRank } from "./on-ranks.ts";

/**
 * Decodes every image once and lists those that cannot be read: worth doing before a run of days.
 *
 * @param options `onProgress` is called after each image with the number done; `world`: the processes that decode
 *   together, each its share of the images
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
  options: {
    readonly onProgress?: ((done: number) => void) | undefined;
    readonly world?: World | undefined;
  } = {},
): Promise<DmaeError[]> {
  checkOptions("findCorruptImages", options, { onProgress: true, world: true });
  refusePromise("findCorruptImages", dataset);
  const { onProgress } = options;
  const world = ranksOf("findCorruptImages", options.world);
  if (world === undefined) return damagedIn(dataset, 0, dataset.length, onProgress);
  const edge = (rank: number) => Math.floor((rank * dataset.length) / world.size);
  let found: DmaeError[] = [];
  await eachOnRank(world, world.size, async (rank) => {
    found = await damagedIn(dataset, edge(rank), edge(rank + 1), onProgress);
  });
  const told = found.map(({ message, details }) => ({ message, details }));
  const texts = await gatherTexts(world, JSON.stringify(told));
  return texts.flatMap((text) =>
    (JSON.parse(text) as typeof told).map(
      ({ message, details }) => new DmaeError("file", message, details),
    ),
  );
}

async function damagedIn(
  dataset: PixelDataset,
  from: number,
  end: number,
  onProgress?: (done: number) => void,
): Promise<DmaeError[]> {
  const damaged: DmaeError[] = [];
  let done = 0;
  for await (const error of ahead(from, end, (index) => readError(dataset, index))) {
    if (error) damaged.push(error);
    onProgress?.(++done);
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
