/** What `pretrain` is built from, for programs that run the steps themselves. */
export { resolveDmaeConfig } from "./config.ts";
export { type PretrainInputOptions, pretrainInputs } from "./inputs.ts";
export { pretrainTask } from "./pretrain.ts";
export { checkPretrainRecipe } from "./recipe.ts";
