import { DmaeError } from "@dmae/core";
import { type AddressedNoise, addressedNoise } from "./addressed-noise.ts";
import type { NoiseOptions } from "./noise.ts";
import { soundNoise } from "./sound-noise.ts";

/** Seed, sigma and law of the noise of a run. */
export interface NoiseSettings extends Pick<NoiseOptions, "seed" | "sigma" | "distribution"> {
  /** Whether to draw Gaussian noise on the 8-bit grid; see `soundNoise`. */
  readonly sound?: boolean;
}

/** The noise of settings, drawn in the thread that asks. */
export function noiseHere({ sound = false, ...options }: NoiseSettings): AddressedNoise {
  if (!sound) return addressedNoise(options);
  const { seed, sigma, distribution = "gaussian" } = options;
  if (distribution !== "gaussian")
    throw new DmaeError("unsupported", `noise: sound noise is Gaussian, got ${distribution}`);
  return soundNoise({ seed, sigma });
}
