import type { OptionNames } from "@dmae/core/checks";
import { checkInteger } from "../checks.ts";
import { type Classifier, prepareClassifier, traitsOf } from "../classifier/classifier.ts";
import { type ImageInput, readImage } from "../classifier/image.ts";
import { checkPreprocessings } from "../classifier/range.ts";
import {
  batchSizerOf,
  checkSampling,
  type InDimension,
  inDimension,
  noiseOf,
  type SamplingOptions,
  type Seeded,
  samplingNames,
  withSeed,
} from "./options.ts";
import type { Procedure } from "./procedure.ts";
import { runTasks } from "./run-tasks.ts";

/** Options of the functions that take a single input. */
export interface SingleOptions extends SamplingOptions {
  /** Shape of the input where it is a bare array; default: the shape that the classifier takes, else `[length]`. */
  readonly shape?: readonly number[] | undefined;
  /**
   * Index of the input, part of the address of its noise; default 0. Give each input of a loop its own
   * where you give a `seed` or `noise`: inputs of the same seed and index share their noise.
   */
  readonly index?: number | undefined;
}

/** The names of {@link SingleOptions}. */
export const singleNames = {
  ...samplingNames,
  shape: true,
  index: true,
} satisfies OptionNames<SingleOptions>;

/** A result with what it is about: the seed of the noise, and the shape of the input that noise was added to. */
export type ResultOf<R> = Seeded<R> & { readonly shape: readonly number[] };

/**
 * Runs one procedure, started with what is known of the input, on one input; states the seed.
 *
 * @param prepare how the model's answers are read; default as classes
 */
export async function runOne<R>(
  caller: string,
  classifier: Classifier,
  x: ImageInput,
  options: SingleOptions,
  start: (known: InDimension) => Procedure<R>,
  prepare: typeof prepareClassifier = prepareClassifier,
): Promise<ResultOf<R>> {
  checkSampling(caller, options);
  const { shape, range, index = 0, signal } = options;
  checkInteger(caller, "index", index, 0);
  const seeded = withSeed(options);
  const { imageShape } = traitsOf(classifier);
  const image = await readImage(caller, x, { shape, imageShape, range });
  const prepared = await prepare(caller, classifier, options, image.tensor);
  checkPreprocessings(caller, prepared.traits.preprocessing, range);
  const settings = {
    classifier: prepared,
    noise: noiseOf(seeded),
    batches: batchSizerOf(options, prepared, image.data.length),
    imageShape: image.shape,
    signal,
    checkRows: options.checkRows ?? true,
    randomized: options.randomized ?? false,
  };
  const procedure = start(inDimension(options, image.shape));
  const tasks = [{ index, image: image.data, procedure }].values();
  let found: { result: R } | undefined;
  for await (found of runTasks(tasks, settings)); // to the end, where the rows are checked again
  return { ...found!.result, seed: seeded.seed, shape: image.shape };
}
