export type { ConvNetConfig, ConvNetName } from "./config.ts";
export { type ConvNet, createConvNet } from "./convnet.ts";
export { type DenoiserLoss, denoisedStabilityLoss, denoisingLoss } from "./denoiser-losses.ts";
export { createDnCNN, type DenoiserOutput, type DnCnn, type DnCnnConfig } from "./dncnn.ts";
export { type ConvNetSource, loadConvNet } from "./load.ts";
export {
  type DiffusionSchedule,
  diffusionSchedule,
  diffusionStep,
  type NoisePredictor,
  type OneShotOptions,
  oneShotDenoise,
} from "./one-shot-diffusion.ts";
