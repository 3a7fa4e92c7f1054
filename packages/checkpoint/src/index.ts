export { cacheFolder } from "./cache-folder.ts";
export type { Checkpoint } from "./checkpoint.ts";
export { type DownloadOptions, download } from "./download.ts";
export type { DownloadProgress } from "./download-attempt.ts";
export { type DownloadCifarOptions, downloadCifar10, downloadCifar100 } from "./download-cifar.ts";
export type { StoredDType, StoredSpec, StoredTensor, StoredTensors } from "./dtypes.ts";
export { toFloat16 } from "./half.ts";
export type { Fetch } from "./http-source.ts";
export { type LoadCheckpointOptions, loadCheckpoint } from "./load-checkpoint.ts";
export {
  type OptimizerState,
  optimizerState,
  type WeightDecayGroupsOptions,
  weightDecayGroups,
} from "./optimizer-state.ts";
export {
  isTensorReference,
  type PlainRecord,
  type PlainValue,
  type TensorReference,
} from "./plain-value.ts";
export {
  type CheckpointName,
  downloadCheckpoint,
  type PublishedCheckpoint,
  publishedCheckpoints,
} from "./published-checkpoints.ts";
export { decodeSafetensors, encodeSafetensors, type Metadata } from "./safetensors.ts";
export { saveSafetensors } from "./save-safetensors.ts";
export { type TrainingState, trainingState } from "./training-state.ts";
export type { FileFacts } from "./verify-file.ts";
