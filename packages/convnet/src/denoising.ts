/** Denoised smoothing: losses that train a denoiser, and a diffusion model used as one. */

export { type DenoiserLoss, denoisedStabilityLoss, denoisingLoss } from "./denoiser-losses.ts";
export { type DiffusionDraws, diffusionLoss, diffusionSteps } from "./diffusion-loss.ts";
export { createDnCNN, type DenoiserOutput, type DnCnn, type DnCnnConfig } from "./dncnn.ts";
export {
  type HostDenoiser,
  type HostNoisePredictor,
  type OneShotDenoiserOptions,
  oneShotDenoiser,
} from "./one-shot-denoiser.ts";
export {
  type DiffusionSchedule,
  diffusionSchedule,
  diffusionStep,
  type NoisePredictor,
  type OneShotOptions,
  oneShotDenoise,
} from "./one-shot-diffusion.ts";
export {
  type NoiseSession,
  type OnnxNoisePredictorOptions,
  onnxNoisePredictor,
} from "./onnx-noise-predictor.ts";
export { createUNet, type UNet, type UNetConfig } from "./unet.ts";
