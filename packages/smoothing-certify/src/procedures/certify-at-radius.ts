import { DmaeError, type ImageDataset } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkAlpha, checkInteger, checkNumbers, checkOneOf, refuseOthers } from "../checks.ts";
import type { Classifier } from "../classifier/classifier.ts";
import type { ImageInput } from "../classifier/image.ts";
import type { LogRow } from "../log/log-row.ts";
import { checkDataset } from "../run/dataset-selection.ts";
import { type InDimension, inDimension, type SamplingOptions } from "../run/options.ts";
import { type Rows, rowsOf } from "../run/rows.ts";
import { type DatasetOptions, datasetNames, runDataset } from "../run/run-dataset.ts";
import { type ResultOf, runOne, type SingleOptions, singleNames } from "../run/run-one.ts";
import { normalCdf } from "../statistics/normal.ts";
import { defaultPatience, SequentialTest } from "../statistics/sequential-test.ts";
import {
  type AtRadiusResult,
  type AtRadiusSettings,
  atRadiusProcedure,
  checkLabel,
} from "./at-radius-procedure.ts";
import type { CertifyOptions } from "./certify.ts";

/** The options of a sequential test at one radius. */
export interface SequentialOptions {
  /** The l2 radius to certify, in the units of the input. */
  readonly radius: number;
  /** Allowed probability of a wrong certificate; default 0.001. */
  readonly alpha?: number | undefined;
  /**
   * Allowed probability of giving up early, by its votes so far, on an input that is worth certifying; default 0.01. Costs
   * power, not validity. An input whose votes do not suffice at `maxSamples` is not certified either.
   */
  readonly beta?: number | undefined;
  /**
   * Votes that an input is worth: it is given up once its votes say that so many could not certify it.
   * Default 1600 / (1 - Phi(radius / sigma)), 10,085 at radius = sigma: on published test sets that gives
   * up 0.25 % of the images next to the threshold, for half of all votes. `maxSamples` gives up least.
   */
  readonly patience?: number | undefined;
  /** Most estimation samples; default 100,000. */
  readonly maxSamples?: number | undefined;
  /** Selection samples, where the class is not given; default 100. */
  readonly n0?: number | undefined;
}

/** Options of {@link certifyAtRadius}. */
export interface AtRadiusOptions extends SingleOptions, SequentialOptions {
  /**
   * The class to certify, e.g. the true one in an evaluation: it must not come from the noisy samples.
   * Without it the class is guessed from n0 samples, as in CERTIFY.
   */
  readonly label?: number | undefined;
}

/** Options of {@link certifyDatasetAtRadius}. */
export interface AtRadiusDatasetOptions extends DatasetOptions, SequentialOptions {
  /**
   * `"evaluate"` (default) tests the true class: no selection, and a wrong image is given up after a
   * few samples. `"deploy"` guesses the class from n0 samples, without looking at the label.
   */
  readonly mode?: "evaluate" | "deploy" | undefined;
}

/** The names of {@link SequentialOptions}, and those that are refused with a reason. */
const sequentialNames = {
  radius: true,
  alpha: true,
  beta: true,
  patience: true,
  maxSamples: true,
  n0: true,
  norm: true,
  bound: true,
} satisfies OptionNames<SequentialOptions & Pick<CertifyOptions, "norm" | "bound">>;

const atRadiusNames = {
  ...singleNames,
  ...sequentialNames,
  label: true,
} satisfies OptionNames<AtRadiusOptions>;

/** The names of {@link AtRadiusDatasetOptions}, and those that are refused with a reason. */
export const atRadiusDatasetNames = {
  ...datasetNames,
  ...sequentialNames,
  mode: true,
} satisfies OptionNames<AtRadiusDatasetOptions>;

/**
 * Certifies that the smoothed classifier is constant within one radius, with as few samples as that
 * takes: a sequential test of `P(f(x + e) = c) <= Phi(radius / sigma)` that may stop at every vote
 * (truncated Beta-mixture test by betting; half of alpha is kept for one Clopper-Pearson look at the
 * last vote). With probability at least 1 - alpha the result does not certify, or g is `prediction`
 * at every input closer than `radius`.
 *
 * @throws {DmaeError} "argument" also where not even `maxSamples` unanimous votes could certify
 * @example
 * const { certified, samples } = await certifyAtRadius(classify, image, { sigma: 0.5, radius: 0.5 });
 */
export async function certifyAtRadius(
  classifier: Classifier,
  x: ImageInput,
  options: AtRadiusOptions,
): Promise<ResultOf<AtRadiusResult>> {
  checkOptions("certifyAtRadius", options, atRadiusNames);
  const { label, batchSize, numClasses } = options;
  if (label !== undefined) checkInteger("certifyAtRadius", "label", label, 0);
  if (label !== undefined)
    refuseSelection("certifyAtRadius", options, "label, whose class is tested");
  if (label !== undefined && numClasses !== undefined) checkLabel(label, numClasses);
  const firstLook = typeof batchSize === "number" ? batchSize : 32;
  return runOne("certifyAtRadius", classifier, x, options, (known) => {
    const { settings, test } = prepare("certifyAtRadius", options, firstLook, known);
    return atRadiusProcedure(settings, test, label);
  });
}

/**
 * {@link certifyAtRadius} for the images of a data set. Unfinished images share each batch, so that the
 * model always sees full ones; rows come in the order in which images are decided. The row of a
 * certified image has the radius asked for, all others 0, so certified accuracy is known at this one
 * radius, and there is no average radius.
 *
 * @example
 * for await (const row of certifyDatasetAtRadius(classify, test, { sigma: 0.5, radius: 0.5 }))
 *   certified += row.correct;
 */
export function certifyDatasetAtRadius(
  classifier: Classifier,
  dataset: ImageDataset,
  options: AtRadiusDatasetOptions,
): Rows<LogRow> {
  return rowsOf(atRadiusRows(classifier, dataset, options));
}

/** Throws for selection samples where the class is known: none would be drawn. */
function refuseSelection(caller: string, { n0 }: SequentialOptions, reason: string): void {
  if (n0 === undefined) return;
  throw new DmaeError("argument", `${caller}: n0 must be left out with ${reason}, got ${n0}`);
}

async function* atRadiusRows(
  classifier: Classifier,
  dataset: ImageDataset,
  options: AtRadiusDatasetOptions,
): AsyncGenerator<LogRow, void, void> {
  checkOptions("certifyDatasetAtRadius", options, atRadiusDatasetNames);
  const { mode = "evaluate" } = options;
  checkDataset("certifyDatasetAtRadius", dataset);
  const known = inDimension(options, dataset.imageShape);
  const { settings, test, numbers } = prepare("certifyDatasetAtRadius", options, 8, known);
  checkOneOf("certifyDatasetAtRadius", "mode", mode, ["evaluate", "deploy"]);
  if (mode === "evaluate")
    refuseSelection("certifyDatasetAtRadius", options, 'mode "evaluate", which tests the label');
  const { radius, alpha, beta, patience, maxSamples: n } = numbers;
  const n0 = mode === "evaluate" ? 0 : settings.n0;
  yield* runDataset<AtRadiusResult>(classifier, dataset, options, {
    caller: "certifyDatasetAtRadius",
    settings: { procedure: "at-radius", alpha, n, n0, target: radius, beta, patience, mode },
    procedure: (label) =>
      atRadiusProcedure(settings, test, mode === "evaluate" ? label : undefined),
    row: ({ prediction, radius, samples, counts0, counts }) => ({
      predict: prediction,
      radius,
      pLower: 0,
      samples,
      counts0,
      counts,
    }),
  });
}

function prepare(
  caller: string,
  options: SequentialOptions & SamplingOptions,
  firstLook: number,
  { totalVariation }: InDimension,
) {
  const { radius, sigma, alpha = 0.001, beta = 0.01, maxSamples = 100_000, n0 = 100 } = options;
  checkNumbers(caller, { sigma, radius, alpha, maxSamples, n0 });
  checkAlpha(caller, beta, "beta");
  refuseOthers(caller, options, { norm: "l2", bound: "one-class", distribution: "gaussian" });
  const threshold = (normalCdf(radius / sigma) + totalVariation) * (1 + 2 ** -50);
  const worth = threshold < 1 ? Math.min(maxSamples, defaultPatience(threshold)) : maxSamples;
  const { patience = worth } = options;
  checkInteger(caller, "patience", patience);
  const test =
    threshold < 1 && new SequentialTest({ threshold, alpha, beta, patience, maxSamples });
  if (!test || test.needed > maxSamples)
    throw new DmaeError(
      "argument",
      `${caller}: ${maxSamples} samples cannot certify radius ${radius} at sigma ${sigma} and alpha ${alpha}, even if all agree; it takes ${fewest(threshold, alpha / 2)}`,
    );
  const settings: AtRadiusSettings = { radius, n0, maxSamples, firstLook };
  return { settings, test, numbers: { radius, alpha, beta, patience, maxSamples } };
}

/** Unanimous votes that bring the Clopper-Pearson bound to a threshold. */
function fewest(threshold: number, alpha: number): string {
  const n = threshold < 1 ? Math.ceil(Math.log(alpha) / Math.log(threshold)) : Infinity;
  return n <= 1e12 ? String(n) : "more than can be drawn";
}
