export { pretrainRecipe } from "./build-recipe.ts";
export { type DmaeConfig, type DmaeOptions, resolveDmaeConfig } from "./config.ts";
export { createDmae, type Dmae, type DmaeInputs, type DmaeOutputs } from "./dmae.ts";
export { type PretrainInputOptions, pretrainInputs } from "./inputs.ts";
export { type DmaeLossOptions, dmaeLoss, type LossRegion, patchStatistics } from "./loss.ts";
export { randomMasking, visiblePatches } from "./masking.ts";
export { type PretrainOptions, type PretrainResult, pretrain, pretrainTask } from "./pretrain.ts";
export { checkPretrainRecipe, type PretrainRecipe } from "./recipe.ts";
export { type PretrainRecipeName, pretrainRecipes } from "./recipes.ts";
