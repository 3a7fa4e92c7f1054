export { type AdamWOptions, adamw } from "./adamw.ts";
export type { Augmentation } from "./augmentation.ts";
export type { BatchSource } from "./batch-source.ts";

export type { OpenRecipe } from "./default-batch.ts";
export { type Evaluation, type FitOptions, type FitResult, fit, type Metrics } from "./fit.ts";
export {
  type DecayGroupsOptions,
  decayGroups,
  type LayerDecayGroupsOptions,
  layerDecayGroups,
} from "./groups.ts";
export { type LarsOptions, lars } from "./lars.ts";
export { unprefixed } from "./names.ts";
export { type NoisyBatch, noiseKeys } from "./noise.ts";
export type { Objective, StepPosition } from "./objective.ts";
export type { ModelImages } from "./open-images.ts";
export type { Optimizer, ParameterGroups, ParameterOptions } from "./optimizer.ts";
export type { TrainingProgress } from "./progress.ts";

export {
  type CosineScheduleOptions,
  cosineSchedule,
  type StepScheduleOptions,
  scaledLearningRate,
  stepSchedule,
  type TrainingPosition,
  trainingPosition,
} from "./schedule.ts";
export { type SgdOptions, sgd } from "./sgd.ts";

export {
  type TrainedModel,
  type TrainingOptions,
  type TrainingRecipe,
  type TrainingResult,
  type TrainingSeed,
  type TrainingTask,
  taskStep,
  trainModel,
} from "./train-model.ts";
export {
  createTrainStep,
  type LossFunction,
  type LossResult,
  type TrainStep,
  type TrainStepOptions,
} from "./train-step.ts";
