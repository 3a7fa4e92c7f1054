/** Denoised smoothing: losses that train a denoiser, and a diffusion model used as one. */
export { type DenoiserLoss, denoisedStabilityLoss, denoisingLoss } from "./denoiser-losses.ts";
export { createDnCNN, type DenoiserOutput, type DnCnn, type DnCnnConfig } from "./dncnn.ts";
export {
  type DiffusionSchedule,
  diffusionSchedule,
  diffusionStep,
  type NoisePredictor,
  type OneShotOptions,
  oneShotDenoise,
} from "./one-shot-diffusion.ts";
