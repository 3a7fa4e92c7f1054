export type { Drawn, DrawOptions, FloatArray } from "./draw.ts";
export { DmaeError, type ErrorCode } from "./errors.ts";
export { foldIn, type Key, key } from "./key.ts";
export { type NormalOptions, normal } from "./normal.ts";
export type {
  Batch,
  DType,
  Given,
  HostTensor,
  HostTensors,
  ImageDataset,
  ImageShape,
  LabeledImage,
  TypedArray,
} from "./types.ts";
export { type UniformOptions, uniform } from "./uniform.ts";
export type { World, WorldData, WorldOperation } from "./world.ts";
