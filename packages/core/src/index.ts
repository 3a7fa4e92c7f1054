export { checkOptions, type OptionNames } from "./check-options.ts";
export type { Drawn, DrawOptions, FloatArray } from "./draw.ts";
export { DmaeError, type ErrorCode } from "./errors.ts";
export { fileError } from "./files/file-error.ts";
export { type FileLock, type LockOptions, lockFile } from "./files/lock-file.ts";
export { makeFolder } from "./files/make-folder.ts";
export { writeAtomically } from "./files/write-atomically.ts";
export { generator, permutation } from "./generator.ts";
export { foldIn, type Key, key, split } from "./key.ts";
export { type LaplaceOptions, laplace } from "./laplace.ts";
export { nearestNames } from "./nearest-names.ts";
export { type NormalOptions, normal } from "./normal.ts";
export { philox4x32 } from "./philox.ts";
export { standIn } from "./stand-in.ts";
export { parseStrictJson } from "./strict-json.ts";
export type {
  Batch,
  DType,
  HostTensor,
  HostTensors,
  ImageDataset,
  ImageShape,
  LabeledImage,
  TypedArray,
} from "./types.ts";
export { type UniformOptions, uniform } from "./uniform.ts";
