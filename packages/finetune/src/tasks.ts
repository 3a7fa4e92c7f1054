/** What `robustFinetune` and `evaluate` are built from, for programs that run the steps themselves. */
export {
  type PreparedEvaluation,
  type PrepareEvaluationOptions,
  prepareEvaluation,
} from "./evaluate.ts";
export { type FinetuneLossSettings, finetuneTask } from "./finetune-step.ts";
export { type FinetuneInputOptions, finetuneInputs, type InputShape } from "./inputs.ts";
export { checkProbeRecipe } from "./probe-recipe.ts";
export { buildModel, checkFinetuneRecipe } from "./recipe.ts";
export { sgdSchedule } from "./sgd-schedule.ts";
