/** The noise that procedures add: addressed by seed and sample, exact in float64. */
export { freshSeed, type Seed } from "./noise/fresh-seed.ts";
export {
  type NoiseDistribution,
  type NoiseOptions,
  type NoiseSource,
  type NoiseStage,
  noiseSource,
} from "./noise/noise.ts";
export { type SoundNoise, soundNoise } from "./noise/sound-noise.ts";
