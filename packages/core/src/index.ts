export { DmaeError, type ErrorCode } from "./errors.ts";
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
