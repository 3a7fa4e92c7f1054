export type { Checkpoint } from "./checkpoint.ts";
export type { StoredDType, StoredSpec, StoredTensor, StoredTensors } from "./dtypes.ts";
export { type LoadCheckpointOptions, loadCheckpoint } from "./load-checkpoint.ts";
export type { PlainRecord, PlainValue, TensorReference } from "./plain-value.ts";
export { decodeSafetensors, encodeSafetensors, type Metadata } from "./safetensors.ts";
export { saveSafetensors } from "./save-safetensors.ts";
export { toFloat16 } from "./to-float16.ts";
