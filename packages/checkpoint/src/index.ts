export type { StoredDType, StoredTensor, StoredTensors, TensorSpec } from "./dtypes.ts";
export { decodeSafetensors, encodeSafetensors, type Metadata } from "./safetensors.ts";
export { saveSafetensors } from "./save-safetensors.ts";
