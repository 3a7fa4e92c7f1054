import { DmaeError } from "@dmae/core";
import { type NoiseOptions, noiseSource } from "./noise.ts";
import type { LocalNoise } from "./noise-source.ts";
import { soundNoise } from "./sound-noise.ts";

/** Seed, sigma and distribution of the noise of a run. */
export interface NoiseSettings extends NoiseOptions {
  /** Whether to draw Gaussian noise on the 8-bit grid; see `soundNoise`. */
  readonly sound?: boolean | undefined;
}

/** The noise that settings describe, drawn in the thread that asks. */
export function localNoise(
  caller: string,
  { sound = false, ...options }: NoiseSettings,
): LocalNoise {
  if (!sound) return noiseSource(options);
  const { seed, sigma, distribution = "gaussian" } = options;
  if (distribution !== "gaussian")
    throw new DmaeError("unsupported", `${caller}: sound noise is Gaussian, got ${distribution}`);
  return soundNoise({ seed, sigma });
}
