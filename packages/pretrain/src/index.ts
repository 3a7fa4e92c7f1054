export { pretrainRecipe } from "./build-recipe.ts";
export type { DmaeConfig, DmaeOptions } from "./config.ts";
export { createDmae, type Dmae, type DmaeInputs, type DmaeOutputs } from "./dmae.ts";
export type { LossRegion } from "./loss.ts";

export { type PretrainOptions, type PretrainResult, pretrain } from "./pretrain.ts";
export type { PretrainRecipe } from "./recipe.ts";
export { type PretrainRecipeName, pretrainRecipes } from "./recipes.ts";
