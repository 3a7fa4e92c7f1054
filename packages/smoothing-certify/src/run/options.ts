import { DmaeError } from "@dmae/core";
import type { OptionNames } from "@dmae/core/checks";
import { checkInteger, checkOneOf, checkPositive, checkProbability, show } from "../checks.ts";
import {
  type ClassifierOptions,
  classifierNames,
  type PreparedClassifier,
} from "../classifier/classifier.ts";
import { checkRange, type Range } from "../classifier/range.ts";
import { freshSeed, type Seed } from "../noise/fresh-seed.ts";
import { localNoise } from "../noise/noise-settings.ts";
import type { NoiseDistribution, NoiseParameters, NoiseSource } from "../noise/noise-source.ts";
import { BatchSizer } from "./batch-sizer.ts";

/** Options that every procedure on noisy copies takes. */
export interface SamplingOptions extends ClassifierOptions {
  /** Standard deviation of the Gaussian noise, in the units of the input. */
  readonly sigma: number;
  /**
   * Seed of the noise; default a fresh one, which the result states. The same seed gives the same votes.
   * Where a seed is known beforehand, nothing is promised for inputs that were chosen after it.
   */
  readonly seed?: Seed | undefined;
  /** Noisy copies per call of the classifier; `"auto"` (default): the size that turns out to be fastest. */
  readonly batchSize?: number | "auto" | undefined;
  /** Bytes that the batches of this package may take; default 128 MiB. Ignored where `batchSize` is a number. */
  readonly memoryLimit?: number | undefined;
  /** Stops the run between two batches. */
  readonly signal?: AbortSignal | undefined;
  /** Interval in which the pixels of the input lie, before any preprocessing; default `[0, 1]`. */
  readonly range?: Range | undefined;
  /**
   * Whether to check, before the run and at its end, that a row's class does not depend on the rows
   * beside it; default true. Without this property there is no certificate.
   */
  readonly checkRows?: boolean | undefined;
  /**
   * Declares that the classifier draws randomness of its own, independently for each row. Default
   * false: a classifier that gives different answers to the same rows is an error.
   */
  readonly randomized?: boolean | undefined;
  /** Law of the noise; default `"gaussian"`. The others certify in l1. */
  readonly distribution?: NoiseDistribution | undefined;
  /**
   * Draw the noise on the grid of 8-bit pixels, so that floating point cannot break the guarantee. What is smoothed is
   * then the classifier after each noisy pixel was rounded to the nearest k / 255; see `soundNoise`. Gaussian noise and
   * inputs k / 255 only. Default false.
   */
  readonly sound?: boolean | undefined;
  /** Another source of noise than the built-in one, e.g. recorded samples in a test. */
  readonly noise?: NoiseSource | undefined;
}

/** The names of {@link SamplingOptions}. */
export const samplingNames = {
  ...classifierNames,
  sigma: true,
  seed: "seed",
  batchSize: true,
  memoryLimit: true,
  signal: "signal",
  range: true,
  checkRows: "boolean",
  randomized: "boolean",
  distribution: true,
  sound: "boolean",
  noise: true,
} satisfies OptionNames<SamplingOptions>;

/** Options whose seed is settled; undefined only where `noise` does not say its own. */
export type Seeded<Options> = Options & { readonly seed: Seed | undefined };

/** The options with the seed of the run: the caller's, that of the noise, or a fresh one. */
export function withSeed<Options extends SamplingOptions>(options: Options): Seeded<Options> {
  const { noise, seed = noise ? noise.drawnWith?.seed : freshSeed() } = options;
  return { ...options, seed };
}

/** The noise of a run. */
export function noiseOf(options: Seeded<SamplingOptions>): NoiseSource {
  const { noise, sigma, seed, distribution, sound } = options;
  if (noise) {
    if (sound && !noise.totalVariation)
      throw new DmaeError(
        "argument",
        `certify: sound must be left out with noise that is not sound (${noise.generator}); give soundNoise(…), or no noise`,
      );
    return noise;
  }
  if (seed === undefined) throw new DmaeError("argument", "certify: the noise needs a seed");
  return localNoise("certify", { sigma, seed, distribution, sound });
}

/** Refuses noise that was not drawn as the options say: the radius would be that of other noise. */
function checkNoise(caller: string, options: SamplingOptions): void {
  const { noise, sigma, distribution = "gaussian" } = options;
  if (noise !== undefined && typeof noise?.fill !== "function")
    throw new DmaeError(
      "argument",
      `${caller}: noise must be a source with fill, e.g. await noiseInWorkers({ seed, sigma }), got ${show(noise)}`,
    );
  if (!noise?.drawnWith) return;
  const wanted = { sigma, seed: options.seed ?? noise.drawnWith.seed, distribution };
  for (const [name, value] of Object.entries(wanted)) {
    const drawn = noise.drawnWith[name as keyof NoiseParameters];
    if (drawn !== value)
      throw new DmaeError(
        "argument",
        `${caller}: the noise was made with ${name} ${show(drawn)}, but the run has ${show(value)}; give both the same`,
        { name },
      );
  }
}

/** What a guarantee depends on that is known with the shape of the input. */
export interface InDimension {
  /** Numbers of an input. */
  readonly dimension: number;
  /** How far the distribution of their noise is from that of the guarantee. */
  readonly totalVariation: number;
}

/** The {@link InDimension} of inputs of a shape. */
export function inDimension(options: SamplingOptions, shape: readonly number[]): InDimension {
  const dimension = shape.reduce((product, length) => product * length, 1);
  const { seed = 0 } = options; // every seed has this distribution
  const totalVariation = noiseOf({ ...options, seed }).totalVariation?.(dimension) ?? 0;
  checkProbability("certify", "the noise's totalVariation", totalVariation);
  return { dimension, totalVariation };
}

/** Checks what all procedures share. */
export function checkSampling(caller: string, options: SamplingOptions): void {
  checkPositive(caller, "sigma", options.sigma);
  checkRange(caller, options.range);
  if (options.distribution !== undefined)
    checkOneOf(caller, "distribution", options.distribution, ["gaussian", "uniform", "laplace"]);
  checkNoise(caller, options);
  if (options.numClasses !== undefined) checkInteger(caller, "numClasses", options.numClasses, 2);
  if (options.batchSize !== undefined && options.batchSize !== "auto")
    checkInteger(caller, "batchSize", options.batchSize);
  if (options.memoryLimit !== undefined) checkPositive(caller, "memoryLimit", options.memoryLimit);
}

/**
 * The sizes of batches: the classifier's own number, the caller's, or what fits, at most 512: two batches
 * here, and as much again on the side of the classifier's input, four bytes a number.
 */
export function batchSizerOf(
  { batchSize = "auto", memoryLimit = 2 ** 27 }: SamplingOptions,
  { traits }: PreparedClassifier,
  imageSize: number,
): BatchSizer {
  if (traits.fixedBatchSize) return new BatchSizer(traits.fixedBatchSize, false);
  if (batchSize !== "auto") return new BatchSizer(batchSize, false);
  const resized = (traits.preprocessing ?? []).map(({ size }) =>
    size ? 4 * size[0] * size[1] : 0,
  );
  const fits = Math.floor(memoryLimit / (8 * imageSize + 8 * Math.max(imageSize, ...resized)));
  return new BatchSizer(Math.max(1, Math.min(512, fits)), true);
}
