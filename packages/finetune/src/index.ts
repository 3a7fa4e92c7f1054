export { denoiserRecipe, finetuneRecipe, linearProbeRecipe } from "./build-recipe.ts";
export type { DenoiserRecipe } from "./denoiser-recipe.ts";
export {
  type EvaluateOptions,
  type EvaluateResult,
  evaluate,
  type MeasureOptions,
} from "./evaluate.ts";
export type { FinetuneEvaluation } from "./evaluate-training.ts";
export type { DenoiserUse, TrainedDenoiser } from "./host-denoiser.ts";
export { type LinearProbeOptions, type LinearProbeResult, linearProbe } from "./linear-probe.ts";
export type { LinearProbeRecipe } from "./probe-recipe.ts";
export type { ProgramUse } from "./program-use.ts";
export type { FinetuneRecipe, SgdRecipe } from "./recipe.ts";
export {
  type FinetuneRecipeName,
  finetuneRecipes,
  type LinearProbeRecipeName,
  linearProbeRecipes,
  type RecipeSigma,
} from "./recipes.ts";
export {
  type RobustFinetuneOptions,
  type RobustFinetuneResult,
  robustFinetune,
} from "./robust-finetune.ts";
export {
  type TrainDenoiserOptions,
  type TrainDenoiserResult,
  trainDenoiser,
} from "./train-denoiser.ts";
export {
  type LogitsProgram,
  prepareClassifier,
  type ReadyClassifier,
  type TrainedClassifier,
} from "./trained-classifier.ts";
