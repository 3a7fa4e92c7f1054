import { DmaeError, type FloatArray, foldIn, type Key, key } from "@dmae/core";
import { checkInteger, checkOneOf, show } from "../checks.ts";
import type { Seed } from "./fresh-seed.ts";

/** Distributions of the noise added to a pixel; `sigma` is the standard deviation of each. */
export type NoiseDistribution = "gaussian" | "uniform" | "laplace";

/** What a certification draws noise for: `"selection"` guesses the class, `"estimation"` counts its votes. */
export type NoiseStage = "selection" | "estimation";

/** The address of `count` noisy samples in a row. */
export interface NoiseAddress {
  /** Index of the image in its data set, an integer `>= 0`. */
  readonly image: number;
  /** What the samples are for; samples of different stages are independent. */
  readonly stage: NoiseStage;
  /** Index of the first sample within its stage, an integer `>= 0`. */
  readonly first: number;
  /** Number of samples. */
  readonly count: number;
}

/** What determines noise, its address aside. */
export interface NoiseParameters {
  readonly sigma: number;
  readonly seed: Seed;
  readonly distribution: NoiseDistribution;
}

/**
 * Where the noisy copies of a run come from. A sample is a pure function of its address and of the
 * image, so that batch size, order, workers and shards change nothing.
 */
export interface NoiseSource {
  /** Name of distribution and generator, kept in logs: a log is only continued with the same one. */
  readonly generator: string;
  /**
   * Writes `address.count` noisy copies of `image`, one after the other, to the start of `out`. `image` is
   * float64 where float32 cannot hold its numbers; add the noise before you round.
   */
  fill(out: Float32Array, image: FloatArray, address: NoiseAddress): void | Promise<void>;
  /**
   * Where the distribution of the copies is only close to the one that the guarantee is about: a bound on the
   * total variation distance for an image of `dimension` numbers, to be taken off every lower bound on a
   * probability and added to every upper one. See `soundNoise`.
   */
  totalVariation?(dimension: number): number;
  /** What the copies are drawn with, where the source knows: a run with other options is refused. */
  readonly drawnWith?: NoiseParameters;
}

/** A source that draws at once, in the thread that asks. */
export interface LocalNoise extends NoiseSource {
  /** What the copies are drawn with. */
  readonly drawnWith: NoiseParameters;
  /** See {@link NoiseSource.fill}. */
  fill(out: Float32Array, image: FloatArray, address: NoiseAddress): void;
}

/** Keys of addresses: one for each image and stage, samples being indices of its draws. The last key is remembered. */
export function addressKeys(seed: Seed): (address: NoiseAddress) => Key {
  const root = key(seed);
  let last: { image: number; stage: NoiseStage; key: Key } | undefined;
  return ({ image, stage }) => {
    if (last?.image !== image || last.stage !== stage)
      last = { image, stage, key: foldIn(foldIn(root, image), stage) };
    return last.key;
  };
}

/** Checks the arguments of {@link NoiseSource.fill}. */
export function checkFill(
  caller: string,
  out: Float32Array,
  x: FloatArray,
  { image, stage, first, count }: NoiseAddress,
): void {
  checkInteger(caller, "image", image, 0);
  checkInteger(caller, "first", first, 0);
  checkInteger(caller, "count", count, 0);
  checkOneOf(caller, "stage", stage, ["selection", "estimation"]);
  const isFloat = x instanceof Float32Array || x instanceof Float64Array;
  if (!(out instanceof Float32Array) || !isFloat)
    throw new DmaeError(
      "shape",
      `${caller}: out must be a Float32Array and x a Float32Array or Float64Array, got ${show(out)} and ${show(x)}`,
    );
  if (out.length < count * x.length)
    throw new DmaeError(
      "shape",
      `${caller}: out must hold ${count} x ${x.length} elements, got ${out.length}`,
    );
}
