import { DmaeError, type FloatArray, foldIn, type Key, key, normal, uniform } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { laplace } from "@dmae/core/random";
import { checkInteger, checkPositive, show } from "../checks.ts";
import type { Seed } from "./fresh-seed.ts";

/** Laws of the noise added to a pixel; `sigma` is the standard deviation of each. */
export type NoiseDistribution = "gaussian" | "uniform" | "laplace";

/** What a certification draws noise for: the two must be independent. */
export type NoiseStage = "selection" | "estimation";

/** The address of the noise of one image at one stage. */
export interface NoiseOptions {
  /** Seed of the run: an integer `>= 0`, a bigint or a string; 0 is a seed like any other. */
  readonly seed: Seed;
  /** Standard deviation of the noise in pixel units, finite and `> 0`. */
  readonly sigma: number;
  /** Law of the noise; default `"gaussian"`. */
  readonly distribution?: NoiseDistribution;
  /** Index of the image in its data set, an integer `>= 0`. */
  readonly imageIndex: number;
  /** `"selection"` guesses the class, `"estimation"` counts its votes. */
  readonly stage: NoiseStage;
}

/** The names of the address, which every kind of noise has. */
export const addressNames = {
  seed: true,
  sigma: true,
  imageIndex: true,
  stage: true,
} satisfies OptionNames<Omit<NoiseOptions, "distribution">>;

/** Noisy copies of one image, each addressed by its number. */
export interface NoiseSource {
  /**
   * Writes `x + noise` for the samples `firstSample … firstSample + count - 1`, one after the other,
   * to the start of `out`. Sample `i` is the same whatever the batch it is part of.
   *
   * @param out at least `count * x.length` elements
   * @param x the clean image, `[d]`; a `Float64Array` where float32 cannot hold its numbers
   * @throws {DmaeError} "shape" if `out` is too short, "argument" for a bad sample number
   */
  fill(out: Float32Array, x: FloatArray, firstSample: number, count: number): void;
}

/**
 * The noise of a certification, addressed by (seed, image, stage, sample): batch size, order, shards,
 * workers and interruptions do not change a single noisy pixel.
 *
 * Every element is `x + sigma z` in float64, rounded once to float32, with z from Philox4x32-10 (see
 * `normal` of `@dmae/core`): the same bits on every machine, |z| up to 9.49 sigma. The float32 result
 * follows the law only up to that rounding; where this matters use `soundNoiseSource`.
 *
 * - `"gaussian"`: N(0, sigma^2)
 * - `"uniform"`: on [-a, a] with a = sqrt(3) sigma
 * - `"laplace"`: density exp(-|z| / b) / 2b with b = sigma / sqrt(2)
 *
 * @throws {DmaeError} "argument" for a bad seed, sigma, distribution, image index or stage
 * @example
 * const noise = noiseSource({ seed: 0, sigma: 0.25, imageIndex: 17, stage: "estimation" });
 * noise.fill(batch, image, 4000, 100); // samples 4000 … 4099
 */
export function noiseSource(options: NoiseOptions): NoiseSource {
  checkOptions("noiseSource", options, { ...addressNames, distribution: true });
  const { sigma, distribution = "gaussian" } = options;
  const stream = noiseKey("noiseSource", options);
  checkPositive("noiseSource", "sigma", sigma);
  const add = Object.hasOwn(adders, distribution) ? adders[distribution] : undefined;
  if (!add)
    throw new DmaeError(
      "argument",
      `noiseSource: distribution must be one of ${Object.keys(adders).join(", ")}, got ${show(distribution)}`,
      { distribution },
    );
  return {
    fill(out, x, firstSample, count) {
      checkFill("noiseSource.fill", out, x, firstSample, count);
      for (let sample = 0; sample < count; sample++) {
        const row = out.subarray(sample * x.length, (sample + 1) * x.length);
        add(row, x, stream, firstSample + sample, sigma);
      }
    },
  };
}

type Add = (row: Float32Array, x: FloatArray, stream: Key, index: number, sigma: number) => void;

const adders: Readonly<Record<NoiseDistribution, Add>> = {
  gaussian: (row, x, stream, index, sigma) =>
    void normal(stream, row, { index, mean: x, standardDeviation: sigma }),
  uniform: (row, x, stream, index, sigma) => {
    const high = Math.sqrt(3) * sigma;
    addTo(row, x, uniform(stream, scratch(x.length), { index, low: -high, high }));
  },
  laplace: (row, x, stream, index, sigma) =>
    addTo(row, x, laplace(stream, scratch(x.length), { index, scale: Math.SQRT1_2 * sigma })),
};

function addTo(row: Float32Array, x: FloatArray, noise: Float64Array): void {
  for (let i = 0; i < x.length; i++) row[i] = (x[i] as number) + (noise[i] as number);
}

let shared = new Float64Array(0);

/** A float64 array of the given length that is valid until the next call. */
function scratch(length: number): Float64Array {
  if (shared.length < length) shared = new Float64Array(length);
  return shared.subarray(0, length);
}

/** The key of one image's noise at one stage; sample numbers are the index of the draw. */
export function noiseKey(
  where: string,
  { seed, imageIndex, stage }: Pick<NoiseOptions, "seed" | "imageIndex" | "stage">,
): Key {
  checkInteger(where, "imageIndex", imageIndex, 0);
  if (stage !== "selection" && stage !== "estimation")
    throw new DmaeError(
      "argument",
      `${where}: stage must be "selection" or "estimation", got ${show(stage)}`,
      { stage },
    );
  return foldIn(foldIn(key(seed), imageIndex), stage);
}

/** Checks the arguments of {@link NoiseSource.fill}. */
export function checkFill(
  where: string,
  out: Float32Array,
  x: FloatArray,
  firstSample: number,
  count: number,
): void {
  checkInteger(where, "firstSample", firstSample, 0);
  checkInteger(where, "count", count, 0);
  const isFloat = x instanceof Float32Array || x instanceof Float64Array;
  if (!(out instanceof Float32Array) || !isFloat)
    throw new DmaeError(
      "shape",
      `${where}: out must be a Float32Array and x a Float32Array or Float64Array, got ${show(out)} and ${show(x)}`,
    );
  if (out.length < count * x.length)
    throw new DmaeError(
      "shape",
      `${where}: out must hold ${count} x ${x.length} elements, got ${out.length}`,
    );
}
