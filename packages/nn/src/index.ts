export { attention } from "./attention.ts";
export { type BatchNormResult, batchNorm } from "./batch-norm.ts";
export { type Conv2dOptions, conv2d } from "./conv2d.ts";
export { dropPath } from "./drop-path.ts";
export { eagerExecutor } from "./eager-executor.ts";
export type {
  Executor,
  PreparedFunction,
  PreparedStep,
  StepFunction,
  StepInit,
} from "./executor.ts";
export { gelu } from "./gelu.ts";
export {
  normalInit,
  ones,
  orthogonal,
  truncatedNormal,
  uniformInit,
  xavierUniform,
  zeros,
} from "./init.ts";

export { layerNorm } from "./layer-norm.ts";
export { linear } from "./linear.ts";
export type { ApplyFunction, ApplyOptions, Model, ModelOutput } from "./model.ts";
export { normalize } from "./normalize.ts";
export {
  checkParameters,
  constantSpec,
  initializeParameters,
  type ParameterSpec,
  type ParameterSpecs,
} from "./parameter-specs.ts";
export type { Params, Tensors } from "./params.ts";
export { disposeTensors, toHost, toHostSync, toTensors } from "./params.ts";
export type {
  HostResult,
  InFormOf,
  InputSpecs,
  InputValue,
  NestedNumbers,
  NestedRecord,
  ResultForm,
  SpecOrShape,
  TensorSpec,
  TensorSpecs,
} from "./programs/nested.ts";
export type { Program } from "./programs/program.ts";
export { antialiasedBicubicMatrix, bicubicMatrix, resizeBicubic } from "./resize-bicubic.ts";
export {
  type BackendName,
  type BackendReport,
  selectBackend,
  type TriedBackend,
} from "./select-backend.ts";
export { softmaxCrossEntropy } from "./softmax-cross-entropy.ts";
export {
  type LossAndAux,
  type ValueAndGradients,
  valueAndGradients,
} from "./value-and-gradients.ts";
export { withoutGradient } from "./without-gradient.ts";
