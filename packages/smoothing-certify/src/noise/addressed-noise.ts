import type { FloatArray } from "@dmae/core";
import type { Seed } from "./fresh-seed.ts";
import {
  type NoiseDistribution,
  type NoiseOptions,
  type NoiseSource,
  type NoiseStage,
  noiseSource,
} from "./noise.ts";

/** The address of `count` noisy samples in a row. */
export interface NoiseAddress {
  /** Index of the image in its data set. */
  readonly image: number;
  /** What the samples are for; samples of different stages are independent. */
  readonly stage: NoiseStage;
  /** Index of the first sample within its stage. */
  readonly first: number;
  /** Number of samples. */
  readonly count: number;
}

/**
 * Where the noisy copies of a run come from. A sample is a pure function of its address and of the
 * image, so that batch size, order, workers and shards change nothing.
 */
export interface AddressedNoise {
  /** Name of law and generator, kept in logs: a log is only continued with the same one. */
  readonly generator: string;
  /**
   * Writes `address.count` noisy copies of `image`, one after the other, to the start of `out`. `image` is
   * float64 where float32 cannot hold its numbers; add the noise before you round.
   */
  fill(out: Float32Array, image: FloatArray, address: NoiseAddress): void | Promise<void>;
  /**
   * Where the law of the copies is only close to the one that the guarantee is about: a bound on the total
   * variation distance for an image of `dimension` numbers, to be taken off every lower bound on a
   * probability and added to every upper one. See `soundNoise`.
   */
  totalVariation?(dimension: number): number;
  /** What the copies are drawn with, where the source knows: a run with other options is refused. */
  readonly drawnWith?: NoiseLaw;
}

/** What determines noise, its address aside. */
export interface NoiseLaw {
  readonly sigma: number;
  readonly seed: Seed;
  readonly distribution: NoiseDistribution;
}

/** The noise of a run: Philox4x32-10 addressed by seed, image, stage and sample. */
export function addressedNoise(
  options: Omit<NoiseOptions, "imageIndex" | "stage">,
): AddressedNoise {
  const { sigma, seed, distribution = "gaussian" } = options;
  const source = lastUsed((imageIndex, stage) => noiseSource({ ...options, imageIndex, stage }));
  return {
    generator: `philox4x32-10/${distribution}`,
    drawnWith: { sigma, seed, distribution },
    fill(out, image, { image: index, stage, first, count }) {
      source(index, stage).fill(out, image, first, count);
    },
  };
}

/** Remembers the last source: its key is derived once for an image, not once for a batch. */
export function lastUsed(
  make: (imageIndex: number, stage: NoiseStage) => NoiseSource,
): (imageIndex: number, stage: NoiseStage) => NoiseSource {
  let last: { index: number; stage: NoiseStage; source: NoiseSource } | undefined;
  return (index, stage) => {
    if (last?.index !== index || last.stage !== stage)
      last = { index, stage, source: make(index, stage) };
    return last.source;
  };
}
