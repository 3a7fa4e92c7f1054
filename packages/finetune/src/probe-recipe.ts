import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { TrainingRecipe } from "@dmae/train";
import { trainingRecipeNames } from "@dmae/train/tasks";
import type { ViT, ViTName, ViTOptions } from "@dmae/vit";

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
  const fail = (rule: string, value: unknown) => {
    throw new DmaeError("argument", `linearProbe: ${rule}, got ${value}`, { value });
  };
  if (typeof recipe !== "object" || recipe === null)
    fail(
      'the recipe must be an object, e.g. linearProbeRecipes["dmae-vit-b-imagenet-probe-0.25"]',
      recipe,
    );
  checkOptions("linearProbe", recipe, probeRecipeNames, "recipe field");
  for (const name of ["epochs", "batchSize", "accumulate"] as const)
    if (!Number.isInteger(recipe[name]) || recipe[name] < 1)
      fail(`${name} must be a positive integer`, recipe[name]);
  if (recipe.batchSize < 2) fail("batchSize must be 2 or more", recipe.batchSize);
  const { batchNormGroup = recipe.batchSize } = recipe;
  if (!Number.isInteger(batchNormGroup) || batchNormGroup < 2)
    fail("batchNormGroup must be an integer, 2 or more", batchNormGroup);
  if (recipe.batchSize % normGroup(recipe) !== 0)
    fail(`batchNormGroup must divide batchSize ${recipe.batchSize}`, batchNormGroup);
  for (const name of ["sigma", "warmupEpochs", "baseLearningRate", "minLearningRate"] as const)
    if (!(recipe[name] >= 0 && Number.isFinite(recipe[name])))
      fail(`${name} must be a number, 0 or more`, recipe[name]);
}

/** Images over which batch normalisation goes. */
export const normGroup = ({
  batchSize,
  batchNormGroup = batchSize,
}: Pick<LinearProbeRecipe, "batchSize" | "batchNormGroup">): number =>
  Math.min(batchNormGroup, batchSize);
