import type { ImageDataset } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import type { Classifier } from "../classifier/classifier.ts";
import type { LogRow } from "../log/log-row.ts";
import { checkDataset } from "../run/dataset-selection.ts";
import { inDimension } from "../run/options.ts";
import { type Rows, rowsOf } from "../run/rows.ts";
import { type DatasetOptions, datasetNames, runDataset } from "../run/run-dataset.ts";
import { type AttackSettings, attackNames } from "./attack/attack.ts";
import { attackImage, attackName, checkAttackSettings } from "./attack/attack-images.ts";
import { type CertifyOptions, certifySettings } from "./certify.ts";
import { type CertifyResult, certifyProcedure, certifyRow } from "./certify-procedure.ts";

/** Options of {@link certifyDataset}. */
export interface CertifyDatasetOptions
  extends DatasetOptions,
    Pick<CertifyOptions, "n0" | "n" | "alpha" | "bound" | "norm"> {
  /**
   * Abstain without estimating where the first guess is not the label, as the official DMAE script
   * does. Certified accuracy is the same and wrong images are cheap, but the log then knows no wrong
   * predictions, only abstentions. Default false.
   */
  readonly skipWrongGuess?: boolean | undefined;
  /**
   * Attack each image too ({@link attack}), with noise of its own from the run's seed: rows then have `attacked` and
   * `clean`. `{}` for the defaults. It takes about as long as certifying with n = 50,000.
   */
  readonly attack?: AttackSettings | undefined;
}

const certifyDatasetNames = {
  ...datasetNames,
  n0: true,
  n: true,
  alpha: true,
  bound: true,
  norm: true,
  skipWrongGuess: true,
  attack: attackNames,
} satisfies OptionNames<CertifyDatasetOptions>;

/**
 * Certifies the images of a data set and yields a row for each (see {@link certify} for what a row
 * means); `toArray()` collects them. With `log` every row is on the disk before it is yielded; started again with the same
 * settings, the run yields the rows that are there and goes on with the rest.
 *
 * The result does not depend on batch size, shards or interruptions: each noisy sample is addressed
 * by (seed, image index, stage, sample).
 *
 * @param dataset any object with `length`, `get(i)`, `imageShape` and `numClasses`; images `[H, W, C]`
 *   float32, in [0, 1] unless `range` says otherwise
 * @throws {DmaeError} "resume" where `log` was made with other settings
 * @example
 * for await (const row of certifyDataset(classify, test, { sigma: 0.25, skip: 20, log: "sigma25.tsv" }))
 *   console.log(row.idx, row.correct, row.radius);
 */
export function certifyDataset(
  classifier: Classifier,
  dataset: ImageDataset,
  options: CertifyDatasetOptions,
): Rows<LogRow> {
  return rowsOf(certifyRows(classifier, dataset, options));
}

async function* certifyRows(
  classifier: Classifier,
  dataset: ImageDataset,
  options: CertifyDatasetOptions,
): AsyncGenerator<LogRow, void, void> {
  checkOptions("certifyDataset", options, certifyDatasetNames);
  checkDataset("certifyDataset", dataset);
  const known = inDimension(options, dataset.imageShape);
  const settings = { ...certifySettings("certifyDataset", options), ...known };
  const { n0, n, alpha } = settings;
  const { skipWrongGuess = false, attack } = options;
  if (attack) checkAttackSettings("certifyDataset", attack, options);
  yield* runDataset<CertifyResult>(classifier, dataset, options, {
    caller: "certifyDataset",
    settings: {
      procedure: "certify",
      alpha,
      n,
      n0,
      ...(skipWrongGuess && { skipWrongGuess }),
      ...(options.bound && options.bound !== "one-class" && { bound: options.bound }),
      ...(options.norm && { norm: options.norm }),
      ...(attack && attackName(attack)),
    },
    ...(attack && {
      inspect: (image) => attackImage(classifier, dataset, image, attack, options),
    }),
    procedure: (label) => certifyProcedure(settings, skipWrongGuess ? label : undefined),
    row: certifyRow,
  });
}
