export type { Card, Driver, NvidiaHardware } from "./cards.ts";
export type { Check } from "./check.ts";
export type { Facts, Found } from "./diagnose.ts";
export { type DoctorReport, doctor } from "./doctor.ts";
export { NativeError, type NativeErrorCode } from "./errors.ts";
export type { OnnxRuntimeFacts } from "./onnxruntime/diagnose.ts";
export type { ProviderManifest } from "./onnxruntime/installed.ts";
export {
  linkOnnxRuntime,
  type OnnxRuntimeLink,
  type OnnxRuntimeLinkOptions,
} from "./onnxruntime/link.ts";
export type { OnnxRuntimePackage } from "./onnxruntime/package.ts";
export type { RanSession } from "./onnxruntime/probe.ts";
export { type OnnxRuntimeUnlink, unlinkOnnxRuntime } from "./onnxruntime/unlink.ts";
export type { LoadFailure } from "./probe.ts";
export type { AddonManifest, InstalledPackage } from "./tensorflow/addon.ts";
export type { CudaLibrary } from "./tensorflow/cuda-libraries.ts";
export {
  linkTensorFlow,
  type TensorFlowLink,
  type TensorFlowLinkOptions,
} from "./tensorflow/link.ts";
export type { LoadedAddon } from "./tensorflow/probe.ts";
export type { CudaBuild, TensorFlow } from "./tensorflow/tensorflow.ts";
export { type TensorFlowUnlink, unlinkTensorFlow } from "./tensorflow/unlink.ts";
