import type { OptionNames } from "@dmae/core/checks";
import type { TrainingRecipe } from "@dmae/train";
import { checkRecipe, type RecipeRanges, trainingRecipeNames } from "@dmae/train/tasks";
import type { ViT, ViTName } from "@dmae/vit";
import type { DmaeOptions } from "./config.ts";
import type { LossRegion } from "./loss.ts";

/** A pre-training run, every field written out. */
export interface PretrainRecipe extends TrainingRecipe {
  /** The encoder: a ViT, its name, or the configuration of encoder and decoder; its sigma is the recipe's. */
  readonly model: ViTName | DmaeOptions | ViT;
  /** Standard deviation of the noise, in images in [0, 1]; 0 for MAE. */
  readonly sigma: number;
  /** Share of the patches that are hidden. */
  readonly maskRatio: number;
  /** Normalises the target of each patch. */
  readonly normPixLoss: boolean;
  /** Patches that count in the loss. */
  readonly region: LossRegion;
  /** AdamW weight decay, not of biases and one-dimensional parameters. */
  readonly weightDecay: number;
  /** AdamW decay of the first moment. */
  readonly beta1: number;
  /** AdamW decay of the second moment. */
  readonly beta2: number;
}

/** The names of {@link PretrainRecipe}. */
export const recipeNames = {
  ...trainingRecipeNames,
  model: true,
  sigma: true,
  maskRatio: true,
  normPixLoss: true,
  region: true,
  weightDecay: true,
  beta1: true,
  beta2: true,
} satisfies OptionNames<PretrainRecipe>;

/** Throws for unknown fields, and for one outside its range. */
export function checkPretrainRecipe(recipe: PretrainRecipe): void {
  const example = 'pretrainRecipes["dmae-vit-b-cifar10-continued"]';
  const fail = checkRecipe("pretrain", recipe, recipeNames, ranges, example);
  const { sigma } = { sigma: recipe.sigma, ...(recipe.model as DmaeOptions) };
  if (sigma !== recipe.sigma)
    fail(`sigma of the model must be the recipe's, ${recipe.sigma}`, sigma);
  if (typeof recipe.normPixLoss !== "boolean")
    fail("normPixLoss must be true or false", recipe.normPixLoss);
  if (recipe.region !== "all" && recipe.region !== "masked")
    fail('region must be "all" or "masked"', recipe.region);
  if (recipe.region === "masked" && recipe.maskRatio === 0)
    fail('region "masked" needs a maskRatio above 0', 0);
}

const ranges: RecipeRanges<PretrainRecipe> = {
  sigma: "be a number, 0 or more",
  maskRatio: "lie in [0, 1)",
  weightDecay: "be a number, 0 or more",
};
