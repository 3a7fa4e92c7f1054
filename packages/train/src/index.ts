export { type AdamWOptions, adamw } from "./adamw.ts";
export {
  type BatchSource,
  type ImageTransform,
  type ShuffledBatchesOptions,
  shuffledBatches,
  type TransformContext,
  toBatchSource,
  withBatchSize,
} from "./batches.ts";
export { clipByGlobalNorm, globalNorm } from "./clip.ts";
export { dataName, deepFreeze, type ImageRequirements, pick, requireImages } from "./data.ts";
export {
  type Evaluation,
  type FitOptions,
  type FitResult,
  fit,
  type Metrics,
  specsOf,
} from "./fit.ts";
export { checkpointSteps, stepsBetween } from "./fit-options.ts";
export {
  type DecayGroupsOptions,
  decayGroups,
  type LayerDecayGroupsOptions,
  layerDecayGroups,
} from "./groups.ts";
export { type LarsOptions, lars } from "./lars.ts";
export { prefixed, scalarTensors, unprefixed } from "./names.ts";
export { batchNoise, type NoisyBatch, noiseKeys } from "./noise.ts";
export type { Optimizer, ParameterGroups, ParameterOptions } from "./optimizer.ts";
export type { Progress } from "./progress.ts";
export { type LogLine, openRunFolder, type RunFolder, type SavedState } from "./run-folder.ts";
export {
  type CosineScheduleOptions,
  cosineSchedule,
  scaledLearningRate,
  type TrainingPosition,
  trainingPosition,
} from "./schedule.ts";
export { type SgdOptions, sgd } from "./sgd.ts";
export { torchGroups } from "./torch-groups.ts";
export {
  createTrainStep,
  type LossFunction,
  type LossResult,
  type TrainStep,
  type TrainStepOptions,
} from "./train-step.ts";
