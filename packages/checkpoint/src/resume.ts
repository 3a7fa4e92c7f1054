/** The optimizer's state and position in a checkpoint of the official code. */
export {
  type OptimizerState,
  optimizerState,
  type WeightDecayGroupsOptions,
  weightDecayGroups,
} from "./optimizer-state.ts";
export { isTensorReference } from "./plain-value.ts";
export { type TrainingState, trainingState } from "./training-state.ts";
