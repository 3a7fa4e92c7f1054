/** What a new kind of training is built from; `@dmae/pretrain` and `@dmae/finetune` are. */
export { augmentationOperations } from "./augmentation.ts";
export { checkRecipe, type RecipeRanges } from "./check-recipe.ts";
export { checksum } from "./checksum.ts";
export { deepFreeze } from "./deep-freeze.ts";
export { withDefaultBatch } from "./default-batch.ts";
export { specsOf } from "./fit.ts";
export {
  type DecayGroupsOptions,
  decayGroups,
  type LayerDecayGroupsOptions,
  layerDecayGroups,
} from "./groups.ts";
export { type LarsOptions, lars } from "./lars.ts";
export { inOrderOf, prefixed, scalarTensors, unprefixed } from "./names.ts";
export { batchNoise, type NoisyBatch, noiseKeys } from "./noise.ts";
export { rankExecutor, rankThreads } from "./rank-executor.ts";
export { rankRows } from "./rank-rows.ts";
export {
  type StepScheduleOptions,
  scaledLearningRate,
  stepSchedule,
  type TrainingPosition,
  trainingPosition,
} from "./schedule.ts";
export { torchGroups } from "./torch-groups.ts";
export {
  rootKey,
  type TrainedModel,
  taskStep,
  trainingNames,
  trainingRecipeNames,
  trainModel,
} from "./train-model.ts";
