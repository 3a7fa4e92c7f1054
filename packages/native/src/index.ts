export type { Card, Driver, NvidiaHardware } from "./cards.ts";
export type { Check, Facts, Found } from "./diagnose.ts";
export { type DoctorReport, doctor } from "./doctor.ts";
export { NativeError, type NativeErrorCode } from "./errors.ts";
export type { AddonManifest, InstalledPackage } from "./tensorflow/addon.ts";
export type { CudaLibrary } from "./tensorflow/cuda-libraries.ts";
export {
  linkTensorFlow,
  type TensorFlowLink,
  type TensorFlowLinkOptions,
} from "./tensorflow/link.ts";
export type { LoadedAddon, LoadFailure } from "./tensorflow/probe.ts";
export type { CudaBuild, TensorFlow } from "./tensorflow/tensorflow.ts";
export { type TensorFlowUnlink, unlinkTensorFlow } from "./tensorflow/unlink.ts";
