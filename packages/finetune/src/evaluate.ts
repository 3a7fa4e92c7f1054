import { defaultExecutor } from "@dmae/compile/executors";
import { DmaeError, foldIn, type HostTensors, type ImageDataset, normal } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import type { Executor, Model, PreparedFunction, TensorSpec } from "@dmae/nn";
import type { TrainingSeed } from "@dmae/train";
import { rootKey } from "@dmae/train/tasks";
import type { Tensor } from "@tensorflow/tfjs-core";
import { checkBatchSize, checkDataset, checkImage, checkMeasure } from "./evaluation-checks.ts";

/** What a {@link PreparedEvaluation} can be asked for. */
export interface MeasureOptions {
  /** Standard deviation of the noise; default 0, clean images. */
  readonly sigma?: number | undefined;
  /** The noise follows from it; default 0. */
  readonly seed?: TrainingSeed | undefined;
  /** Noisy copies of each image; default 1. */
  readonly samples?: number | undefined;
  /** Looks at the first so many images; default: all. */
  readonly limit?: number | undefined;
  /** Stops with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const measureNames = {
  sigma: true,
  seed: true,
  samples: true,
  limit: true,
  signal: "signal",
} satisfies OptionNames<MeasureOptions>;

/** Options of {@link prepareEvaluation}. */
export interface PrepareEvaluationOptions {
  /** Runs the classifier; default `defaultExecutor()` of `@dmae/compile`. */
  readonly executor?: Executor | undefined;
  /** Rows in a batch; default 64. */
  readonly batchSize?: number | undefined;
}

/** Options of {@link evaluate}. */
export interface EvaluateOptions extends MeasureOptions, PrepareEvaluationOptions {}

/** A classifier made ready to be measured more than once. */
export interface PreparedEvaluation {
  /** Measures on a data set, whose images must have the shape that the classifier takes. */
  (dataset: ImageDataset, options?: MeasureOptions): Promise<EvaluateResult>;
  /** Frees the program. */
  dispose(): void;
}

/** What {@link evaluate} measures. */
export interface EvaluateResult {
  /** Share of rows (image, copy) classified as their label. */
  readonly accuracy: number;
  /** Mean cross entropy over the rows. */
  readonly loss: number;
  /** Share of images whose most frequent class over the copies is the label (radius-0 accuracy without a proof). */
  readonly voteAccuracy: number;
  /** Images looked at. */
  readonly images: number;
}

/**
 * Accuracy of a classifier on clean or noisy images. The noise of copy `c` of image `i` depends on the seed, `i` and
 * `c` alone. To measure the same parameters more than once, see {@link prepareEvaluation}.
 *
 * @param params those of the classifier, in ordinary memory
 * @throws DmaeError "argument" for options outside their ranges, a data set of other classes, and labels outside
 *   them; "numeric" for logits that are not finite
 *
 * @example
 * const { accuracy } = await evaluate(model, params, test, { sigma: 0.25, seed: 0 });
 */
export async function evaluate(
  model: Model,
  params: HostTensors,
  dataset: ImageDataset,
  options: EvaluateOptions = {},
): Promise<EvaluateResult> {
  checkOptions("evaluate", options, { ...measureNames, executor: "executor", batchSize: true });
  checkMeasure("evaluate", options);
  const { executor, batchSize, ...measuring } = options;
  checkDataset("evaluate", dataset, {
    imageShape: dataset?.imageShape,
    numClasses: model.numClasses,
  });
  const prepared = await prepare(model, params, dataset.imageShape, { executor, batchSize });
  try {
    return await prepared(dataset, measuring);
  } finally {
    prepared.dispose();
  }
}

/**
 * Compiles a classifier once for several measurements: other data, other noise, part after part. Its parameters are
 * constants of the program, which makes every batch faster than parameters that could change.
 *
 * @param params those of the classifier, in ordinary memory
 * @returns the evaluation; the caller disposes of it
 *
 * @example
 * const evaluation = await prepareEvaluation(model, params);
 * for (const sigma of [0.25, 0.5]) console.log(await evaluation(test, { sigma, seed: 0 }));
 * evaluation.dispose();
 */
export async function prepareEvaluation(
  model: Model,
  params: HostTensors,
  options: PrepareEvaluationOptions = {},
): Promise<PreparedEvaluation> {
  checkOptions("prepareEvaluation", options, { executor: "executor", batchSize: true });
  return prepare(model, params, model.imageShape, options);
}

async function prepare(
  model: Model,
  params: HostTensors,
  imageShape: readonly number[],
  { executor, batchSize = 64 }: PrepareEvaluationOptions,
): Promise<PreparedEvaluation> {
  checkBatchSize("evaluate", batchSize);
  const classifier = await (executor ?? (await defaultExecutor())).prepareFunction({
    fn: ({ images, ...rest }) => ({ logits: model.apply(rest, images!).logits }),
    specs: { images: { shape: [batchSize, ...imageShape] } },
    constants: params,
  });
  const run = async (dataset: ImageDataset, options: MeasureOptions = {}) => {
    checkOptions("evaluate", options, measureNames);
    checkMeasure("evaluate", options);
    const { numClasses } = model;
    checkDataset("evaluate", dataset, { imageShape, numClasses });
    return measure(classifier, numClasses, dataset, { ...options, batchSize });
  };
  return Object.assign(run, { dispose: () => classifier.dispose() });
}

type Classify = PreparedFunction<{ images: TensorSpec }, { logits: Tensor }>;

async function measure(
  classifier: Classify,
  numClasses: number,
  dataset: ImageDataset,
  options: MeasureOptions & { readonly batchSize: number },
): Promise<EvaluateResult> {
  const { batchSize, sigma = 0, samples = 1, limit, signal } = options;
  const key = rootKey(options.seed);
  const count = Math.min(limit ?? dataset.length, dataset.length);
  const rows = count * samples;
  const pixels = dataset.imageShape.reduce((product, side) => product * side, 1);
  const votes = new Int32Array(count * numClasses);
  const labels = new Int32Array(count);
  let correct = 0;
  let loss = 0;
  for (let start = 0; start < rows; start += batchSize) {
    signal?.throwIfAborted();
    const here = Math.min(batchSize, rows - start);
    const images = new Float32Array(batchSize * pixels); // the last batch is filled up with black
    for (let row = 0; row < here; row++) {
      const index = Math.floor((start + row) / samples);
      const { image, label } = await dataset.get(index);
      checkImage("evaluate", { image, label }, { index, pixels, numClasses });
      labels[index] = label;
      const out = images.subarray(row * pixels, (row + 1) * pixels);
      out.set(image);
      if (sigma > 0) {
        const copyKey = foldIn(key, (start + row) % samples);
        normal(copyKey, out, { index, mean: out, standardDeviation: sigma });
      }
    }
    const { logits } = await classifier({ images });
    for (let row = 0; row < here; row++) {
      const index = Math.floor((start + row) / samples);
      const scores = logits.data.subarray(row * numClasses, (row + 1) * numClasses);
      const { best, crossEntropy } = scoreImage(scores as Float32Array, labels[index]!, index);
      votes[index * numClasses + best]!++;
      loss += crossEntropy;
      if (best === labels[index]) correct++;
    }
  }
  let voted = 0;
  for (let index = 0; index < count; index++) {
    const tally = votes.subarray(index * numClasses, (index + 1) * numClasses);
    if (tally.indexOf(Math.max(...tally)) === labels[index]) voted++;
  }
  return {
    accuracy: correct / rows,
    loss: loss / rows,
    voteAccuracy: voted / count,
    images: count,
  };
}

function scoreImage(
  scores: Float32Array,
  label: number,
  index: number,
): { best: number; crossEntropy: number } {
  let best = 0;
  for (let i = 0; i < scores.length; i++) {
    if (!Number.isFinite(scores[i]))
      throw new DmaeError(
        "numeric",
        `evaluate: logits must be finite, got ${scores[i]} for image ${index}`,
      );
    if (scores[i]! > scores[best]!) best = i;
  }
  const top = scores[best]!;
  const sum = scores.reduce((total, score) => total + Math.exp(score - top), 0);
  return { best, crossEntropy: Math.log(sum) + top - scores[label]! };
}
