import { DmaeError, type ImageDataset } from "@dmae/core";
import { refusePromise } from "@dmae/core/checks";
import type { BatchSource } from "./batch-source.ts";
import type { TrainingRecipe } from "./train-model.ts";

/** A recipe whose `batchSize` may be left out: 64 images then, or all of a smaller data set. */
export type OpenRecipe<Recipe extends TrainingRecipe> = Omit<Recipe, "batchSize"> & {
  readonly batchSize?: number | undefined;
};

const DEFAULT_BATCH = 64;

/** `recipe` with a batch size; anything that is no recipe as it is, for whoever checks it to name. */
export function withDefaultBatch<Recipe extends TrainingRecipe>(
  caller: string,
  recipe: Recipe | OpenRecipe<Recipe>,
  data: ImageDataset | BatchSource,
): Recipe {
  refusePromise(caller, data);
  if (typeof data !== "object" || data === null)
    throw new DmaeError(
      "argument",
      `${caller}: the images must be a data set or a batchLoader, e.g. await loadImageFolder("photos"), got ${data}`,
    );
  if (typeof recipe !== "object" || recipe === null || recipe.batchSize !== undefined)
    return recipe as Recipe;
  const images = "at" in data ? (data.batchSize ?? DEFAULT_BATCH) : data.length;
  return { ...recipe, batchSize: Math.max(1, Math.min(DEFAULT_BATCH, images)) } as Recipe;
}
