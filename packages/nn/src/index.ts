export type {
  Executor,
  PreparedFunction,
  PreparedStep,
  StepFunction,
  TensorFunction,
  TensorSpec,
  TensorSpecs,
} from "./executor.ts";
export type { Params, Tensors } from "./params.ts";
