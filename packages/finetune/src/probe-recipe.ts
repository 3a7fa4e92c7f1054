import type { TrainingRecipe } from "@dmae/train";
import { checkRecipe, trainingRecipeNames } from "@dmae/train/tasks";
import type { ViT, ViTName, ViTOptions } from "@dmae/vit";
import { buildModel } from "./recipe.ts";

/** A linear-probing run, every field written out. */
export interface LinearProbeRecipe extends TrainingRecipe {
  /** The classifier: a ViT by name, by its configuration or itself. */
  readonly model: ViTName | ViTOptions | ViT;
  /** Standard deviation of the noise, in images in [0, 1]. */
  readonly sigma: number;
  /** LARS weight decay. */
  readonly weightDecay: number;
  /** LARS momentum. */
  readonly momentum: number;
  /** LARS trust coefficient. */
  readonly trustCoefficient: number;
  /**
   * Images over which batch normalisation takes its statistics, a divisor of `batchSize`; the official run's is its batch
   * per card. A larger micro-batch, or more ranks, then normalise as before. Default, and at most: the micro-batch.
   */
  readonly batchNormGroup?: number;
}

/** The fields of {@link LinearProbeRecipe}. */
export const probeRecipeNames = {
  ...trainingRecipeNames,
  model: true,
  sigma: true,
  weightDecay: true,
  momentum: true,
  trustCoefficient: true,
  batchNormGroup: true,
} as const;

/** Throws for unknown fields, and for one outside its range. */
export function checkProbeRecipe(recipe: LinearProbeRecipe): void {
  const example = 'linearProbeRecipes["dmae-vit-b-imagenet-probe-0.25"]';
  const own = { sigma: "be a number, 0 or more", weightDecay: "be a number, 0 or more" } as const;
  const fail = checkRecipe("linearProbe", recipe, probeRecipeNames, own, example);
  const { numClasses } = buildModel(recipe.model);
  if (!(numClasses >= 2)) fail("numClasses of the model must be 2 or more", numClasses);
  if (recipe.batchSize < 2) fail("batchSize must be 2 or more", recipe.batchSize);
  const { batchNormGroup = recipe.batchSize } = recipe;
  if (!Number.isInteger(batchNormGroup) || batchNormGroup < 2)
    fail("batchNormGroup must be an integer, 2 or more", batchNormGroup);
  if (recipe.batchSize % normGroup(recipe) !== 0)
    fail(`batchNormGroup must divide batchSize ${recipe.batchSize}`, batchNormGroup);
}

/** Images over which batch normalisation goes. */
export const normGroup = ({
  batchSize,
  batchNormGroup = batchSize,
}: Pick<LinearProbeRecipe, "batchSize" | "batchNormGroup">): number =>
  Math.min(batchNormGroup, batchSize);
