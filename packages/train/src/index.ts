export { type AdamOptions, adam } from "./adam.ts";
export { type AdamWOptions, adamw } from "./adamw.ts";
export type { Augmentation } from "./augmentation.ts";
export type { BatchSource } from "./batch-source.ts";

export type { OpenRecipe } from "./default-batch.ts";
export { type FitResult, fit } from "./fit.ts";
export type { Evaluation, FitOptions } from "./fit-options.ts";
export type { Metrics } from "./metrics.ts";
export type { Objective, StepPosition } from "./objective.ts";
export type { ModelImages } from "./open-images.ts";
export type { Optimizer, ParameterGroups, ParameterOptions } from "./optimizer.ts";
export type { TrainingProgress } from "./progress.ts";
export type { RowGroups } from "./rank-rows.ts";
export type { RanksOptions } from "./rank-step.ts";

export { type CosineScheduleOptions, cosineSchedule } from "./schedule.ts";
export { type SgdOptions, sgd } from "./sgd.ts";

export type {
  TrainingOptions,
  TrainingRecipe,
  TrainingResult,
  TrainingSeed,
  TrainingTask,
} from "./train-model.ts";
export {
  createTrainStep,
  type LossFunction,
  type LossResult,
  type SplitStep,
  type TrainStep,
  type TrainStepOptions,
} from "./train-step.ts";
