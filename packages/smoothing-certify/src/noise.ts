/** The noise that procedures add: addressed by seed and sample, exact in float64. */
export { freshSeed, type Seed } from "./noise/fresh-seed.ts";
export { type NoiseOptions, noiseSource } from "./noise/noise.ts";
export type { NoiseSettings } from "./noise/noise-settings.ts";
export type {
  LocalNoise,
  NoiseAddress,
  NoiseDistribution,
  NoiseParameters,
  NoiseSource,
  NoiseStage,
} from "./noise/noise-source.ts";
export { type SoundNoise, soundNoise } from "./noise/sound-noise.ts";
