import type { ImageDataset } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkNumbers, refuseOthers } from "../checks.ts";
import type { Classifier } from "../classifier/classifier.ts";
import type { ImageInput } from "../classifier/image.ts";
import type { LogRow } from "../log/log-row.ts";
import { checkDataset } from "../run/dataset-selection.ts";
import { inDimension, type SamplingOptions } from "../run/options.ts";
import { type Rows, rowsOf } from "../run/rows.ts";
import { type DatasetOptions, datasetNames, runDataset } from "../run/run-dataset.ts";
import { type ResultOf, runOne, type SingleOptions, singleNames } from "../run/run-one.ts";
import { type AdaptiveSettings, adaptiveProcedure } from "./adaptive-procedure.ts";
import type { CertifyOptions } from "./certify.ts";
import { type CertifyResult, certifyRow } from "./certify-procedure.ts";

/** The options of an adaptive certification. */
export interface AdaptiveSampling {
  /** Share of the radius that may be given away, on average, against `maxSamples` samples; default 0.05. */
  readonly relativeWidth?: number | undefined;
  /** Most estimation samples; default 100,000. */
  readonly maxSamples?: number | undefined;
  /**
   * First pilot samples; default 200. Doubled, up to a 32nd of `maxSamples`, as long as the pilot is
   * smaller than a tenth of the sample that it asks for.
   */
  readonly pilot?: number | undefined;
  /** Allowed probability of a wrong certificate; default 0.001. */
  readonly alpha?: number | undefined;
}

/** Options of {@link certifyAdaptive}. */
export interface AdaptiveOptions extends SingleOptions, AdaptiveSampling {}

/** Options of {@link certifyDatasetAdaptive}. */
export interface AdaptiveDatasetOptions extends DatasetOptions, AdaptiveSampling {}

/** The names of {@link AdaptiveSampling}, and those that are refused with a reason. */
export const adaptiveNames = {
  relativeWidth: true,
  maxSamples: true,
  pilot: true,
  alpha: true,
  norm: true,
  bound: true,
} satisfies OptionNames<AdaptiveSampling & Pick<CertifyOptions, "norm" | "bound">>;

/**
 * CERTIFY with as many samples as the input is worth: a pilot guesses the class and the size that
 * is expected to bring the radius within `relativeWidth` of that of `maxSamples`; a fresh sample of this
 * size gives the bound. Exactly valid: the guarantee is that of {@link certify}, since the size depends
 * on the pilot alone.
 *
 * @returns as {@link certify}; `counts0` are the pilot's votes
 * @example
 * const { radius, samples } = await certifyAdaptive(classify, image, { sigma: 0.25, relativeWidth: 0.05 });
 */
export async function certifyAdaptive(
  classifier: Classifier,
  x: ImageInput,
  options: AdaptiveOptions,
): Promise<ResultOf<CertifyResult>> {
  checkOptions("certifyAdaptive", options, { ...singleNames, ...adaptiveNames });
  const settings = prepare("certifyAdaptive", options);
  return runOne("certifyAdaptive", classifier, x, options, (known) =>
    adaptiveProcedure({ ...settings, ...known }),
  );
}

/** {@link certifyAdaptive} for the images of a data set; rows and log as in {@link certifyDataset}. */
export function certifyDatasetAdaptive(
  classifier: Classifier,
  dataset: ImageDataset,
  options: AdaptiveDatasetOptions,
): Rows<LogRow> {
  return rowsOf(adaptiveRows(classifier, dataset, options));
}

async function* adaptiveRows(
  classifier: Classifier,
  dataset: ImageDataset,
  options: AdaptiveDatasetOptions,
): AsyncGenerator<LogRow, void, void> {
  checkOptions("certifyDatasetAdaptive", options, { ...datasetNames, ...adaptiveNames });
  checkDataset("certifyDatasetAdaptive", dataset);
  const known = inDimension(options, dataset.imageShape);
  const settings = { ...prepare("certifyDatasetAdaptive", options), ...known };
  const { alpha, maxSamples: n, pilot: n0, relativeWidth } = settings;
  yield* runDataset<CertifyResult>(classifier, dataset, options, {
    caller: "certifyDatasetAdaptive",
    settings: { procedure: "adaptive", alpha, n, n0, relativeWidth },
    procedure: () => adaptiveProcedure(settings),
    row: certifyRow,
  });
}

function prepare(
  caller: string,
  options: AdaptiveSampling & Pick<SamplingOptions, "sigma" | "distribution">,
): AdaptiveSettings {
  const {
    sigma,
    distribution,
    alpha = 0.001,
    pilot = 200,
    relativeWidth = 0.05,
    maxSamples = 100_000,
  } = options;
  const natural = distribution === undefined || distribution === "gaussian" ? "l2" : "l1";
  refuseOthers(caller, options, { norm: natural, bound: "one-class" });
  checkNumbers(caller, { alpha, pilot, maxSamples, relativeWidth });
  return { sigma, alpha, distribution, pilot, relativeWidth, maxSamples };
}
