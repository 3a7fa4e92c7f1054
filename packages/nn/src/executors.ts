// `@dmae/nn/executors`: for those who write an executor. Not part of the API that users look for.

export { type ScaledResult, withLossScale } from "./loss-scale.ts";
export { checkStepResult } from "./programs/check-step-result.ts";
export { checkInputs, checkTensors } from "./programs/check-values.ts";
export {
  describeValue,
  ignoreRejection,
  isPromise,
  isRecord,
  oneOf,
} from "./programs/describe-value.ts";
export { OUTPUT, refusePromise } from "./programs/flat-function.ts";
export { hostInputs } from "./programs/host-inputs.ts";
export { type Lifetime, lifetime } from "./programs/lifetime.ts";
export { isSpec } from "./programs/nested.ts";
export { type FlatProgram, flatProgram } from "./programs/program.ts";
export { checkedSpecs, specOf } from "./programs/specs.ts";
