export { eagerExecutor } from "./eager-executor.ts";
export type {
  Executor,
  PreparedFunction,
  PreparedStep,
  PreparedSteps,
  StepFunction,
  StepInit,
  StepsInit,
} from "./executor.ts";

export type { ApplyFunction, ApplyOptions, Model, ModelOutput } from "./model.ts";
export type { Params, Tensors } from "./params.ts";
export { disposeTensors, toHost, toTensors } from "./params.ts";
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
