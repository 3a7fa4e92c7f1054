import { DmaeError, type ImageDataset } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkInteger, show } from "../../checks.ts";
import {
  type Classifier,
  type ClassifierOptions,
  classifierNames,
  type PreparedClassifier,
  prepareClassifier,
  traitsOf,
} from "../../classifier/classifier.ts";
import { type ImageInput, readImage } from "../../classifier/image.ts";
import { checkPreprocessings, checkRange, type Range } from "../../classifier/range.ts";
import type { LogRow } from "../../log/log-row.ts";
import {
  checkDataset,
  type SelectionOptions,
  selectionNames,
} from "../../run/dataset-selection.ts";
import { batchSizerOf } from "../../run/options.ts";
import { type Rows, rowsOf } from "../../run/rows.ts";
import { type DatasetOptions, runDataset } from "../../run/run-dataset.ts";
import { type RunSettings, runTasks, type Task } from "../../run/run-tasks.ts";
import { ablatedCopies, type Encoding, encodingOf } from "./ablated-copies.ts";
import { type Ablation, ablationsOf, type PatchSize, readPatch } from "./ablation.ts";
import { copiesMetBySide, marginOf, type PatchResult, patchProcedure } from "./patch-procedure.ts";

/** What {@link certifyPatch} and {@link certifyDatasetPatch} share. */
export interface AblationOptions extends ClassifierOptions {
  /** What the ablated copies keep, e.g. `{ columns: 4 }`, `{ rows: 4 }` or `{ block: 12 }`; sizes in pixels. */
  readonly ablation: Ablation;
  /** Pixels between the starts of two bands or blocks; default 1. */
  readonly stride?: number | undefined;
  /** How a copy shows what it lacks; default `"fill"`. See {@link Encoding}. */
  readonly encoding?: Encoding | undefined;
  /** Value of the pixels that a copy lacks, for `encoding: "fill"`; default 0. */
  readonly fill?: number | undefined;
  /** Copies per call of the classifier; default: found while running. */
  readonly batchSize?: number | "auto" | undefined;
  /** Interval in which the pixels lie; default `[0, 1]`. */
  readonly range?: Range | undefined;
  /** Whether to check that a row's class does not depend on the rows beside it; default true. */
  readonly checkRows?: boolean | undefined;
  /** Stops the run between two batches. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of {@link certifyPatch}. */
export interface PatchOptions extends AblationOptions {
  /** The patch: side of a square, or `[height, width]`, in pixels. */
  readonly patch: PatchSize;
  /** Shape of the input where it is a bare array: `[height, width]` or `[height, width, channels]`. */
  readonly shape?: readonly number[] | undefined;
}

/** Options of {@link certifyDatasetPatch}. */
export interface PatchDatasetOptions
  extends AblationOptions,
    SelectionOptions,
    Pick<DatasetOptions, "log" | "model" | "fingerprint" | "memoryLimit" | "onProgress"> {}

/** One image of {@link certifyDatasetPatch}; `radius` is `largestPatch`, and `samples` are the copies. */
export interface PatchRow extends LogRow {
  /** Side of the largest square patch that is certified; 0 where not even one pixel is. */
  readonly largestPatch: number;
  /** Votes by which the prediction leads the strongest rival, one less where that one wins ties. */
  readonly margin: number;
  /** Ablated copies. */
  readonly copies: number;
}

const ablationNames = {
  ...classifierNames,
  ablation: true,
  stride: true,
  encoding: true,
  fill: true,
  batchSize: true,
  range: true,
  checkRows: "boolean",
  signal: "signal",
} satisfies OptionNames<AblationOptions>;
const patchNames = {
  ...ablationNames,
  patch: true,
  shape: true,
} satisfies OptionNames<PatchOptions>;
const datasetNames = {
  ...ablationNames,
  ...selectionNames,
  log: "path",
  model: "text",
  fingerprint: "text",
  memoryLimit: true,
  onProgress: "function",
} satisfies OptionNames<PatchDatasetOptions>;

/**
 * Certifies a prediction against patches: the smoothed classifier takes the class that most ablated copies of
 * the image get, each of which keeps only one band or block of it ((de)randomized smoothing; Levine and Feizi
 * 2020, arXiv:2002.10733).
 *
 * If `certified`, the prediction is the same whatever the pixels of **one** rectangle of the given size hold,
 * wherever it lies in the image. A patch changes the votes of at most `met` copies, those that keep a pixel of it,
 * so the lead `n_A - n_B` falls by at most `2 met`; `margin >= 2 met` for every rival B, ties going to the
 * lower class. Nothing is random: there is no alpha. `met` is counted by enumerating where the patch may
 * lie: the formula `ceil((m + s - 1) / stride)` of the literature is too small where bands wrap round the
 * border and the stride does not divide the side.
 *
 * The guarantee is for the vote, and takes for granted that the classifier gives a copy the same class each time: that
 * of a row that does not depend on the others is checked.
 *
 * @param classifier gets ablated copies `[n, height, width, channels]`, encoded as `encoding` says
 * @param x one image `[height, width]` or `[height, width, channels]`
 * @throws {DmaeError} "argument" for sizes beyond the image, "classifier" for rows that depend on each other
 * @example
 * const { prediction, certified } = await certifyPatch(classify, image, { patch: 5, ablation: { columns: 4 } });
 */
export async function certifyPatch(
  classifier: Classifier,
  x: ImageInput,
  options: PatchOptions,
): Promise<PatchResult> {
  const caller = "certifyPatch";
  checkOptions(caller, options, patchNames);
  checkAblationOptions(caller, options);
  const { shape, range } = options;
  const { imageShape } = traitsOf(classifier);
  const image = await readImage(caller, x, { shape, imageShape, range });
  const { ablations, encoded, sides, settings } = await prepare(
    caller,
    classifier,
    options,
    image.shape,
    image.tensor,
  );
  const met = ablations.mostMet(readPatch(caller, options.patch, sides));
  const procedure = patchProcedure(ablations, met, copiesMetBySide(ablations, sides));
  const tasks: Task<PatchResult>[] = [{ index: 0, image: encoded.encode(image.data), procedure }];
  let result: PatchResult | undefined;
  for await (const finished of runTasks(tasks.values(), settings)) result = finished.result;
  return result!;
}

/**
 * {@link certifyPatch} for the images of a data set. One run gives the certified accuracy at every size of patch,
 * by `largestPatch`; see `formatPatchAccuracy`. With `log` the rows are kept, and a run that was interrupted goes
 * on: logs of `certifyDatasetPatch` are read, merged and analyzed as those of `certifyDataset`, with the
 * side of the patch in the place of the radius.
 *
 * @throws {DmaeError} "resume" where `log` was made with other settings
 * @example
 * const rows = [];
 * for await (const row of certifyDatasetPatch(classify, test, { ablation: { columns: 4 } })) rows.push(row);
 * console.log(formatPatchAccuracy({ vit: rows }, [2, 3, 5]));
 */
export function certifyDatasetPatch(
  classifier: Classifier,
  dataset: ImageDataset,
  options: PatchDatasetOptions,
): Rows<PatchRow> {
  return rowsOf(patchRows(classifier, dataset, options));
}

async function* patchRows(
  classifier: Classifier,
  dataset: ImageDataset,
  options: PatchDatasetOptions,
): AsyncGenerator<PatchRow, void, void> {
  const caller = "certifyDatasetPatch";
  checkOptions(caller, options, datasetNames);
  checkAblationOptions(caller, options);
  const { ablation: _, stride: __, encoding = "fill", fill = 0, ...run } = options;
  checkDataset(caller, dataset);
  const { ablations, encoded, sides, noise } = ablated(caller, options, dataset.imageShape);
  const met = copiesMetBySide(ablations, sides);
  const rows = runDataset<PatchResult>(
    classifier,
    dataset,
    { ...run, noise, sigma: 1 },
    {
      caller,
      settings: {
        procedure: "patch",
        ...{ sigma: 0, alpha: 0, n0: 0, n: ablations.count },
        encoding,
        ...(encoding === "fill" && { fill }),
      },
      encoded,
      procedure: () => patchProcedure(ablations, 0, met),
      row: ({ prediction, largestPatch, counts, copies }) => ({
        predict: prediction,
        radius: largestPatch,
        pLower: counts[prediction]! / copies,
        samples: copies,
        counts0: [],
        counts,
      }),
    },
  );
  for await (const row of rows) {
    const { radius, predict, counts = [], samples = 0 } = row;
    yield { ...row, largestPatch: radius, margin: marginOf(counts, predict), copies: samples };
  }
}

function checkAblationOptions(caller: string, options: AblationOptions): void {
  const { numClasses, batchSize, fill = 0, encoding = "fill", range } = options;
  checkRange(caller, range);
  if (numClasses !== undefined) checkInteger(caller, "numClasses", numClasses, 2);
  if (batchSize !== undefined && batchSize !== "auto") checkInteger(caller, "batchSize", batchSize);
  if (!Number.isFinite(fill))
    throw new DmaeError("argument", `${caller}: fill must be a finite number, got ${show(fill)}`);
  if (fill !== 0 && encoding !== "fill")
    throw new DmaeError(
      "argument",
      `${caller}: fill must be left out with encoding ${show(encoding)}, which has zeros there`,
    );
}

/** The ablated copies of images of one shape. */
function ablated(caller: string, options: AblationOptions, imageShape: readonly number[]) {
  const { ablation, stride = 1, encoding = "fill", fill = 0 } = options;
  const { shape, encode } = encodingOf(caller, encoding, imageShape);
  const sides = [imageShape[0]!, imageShape[1]!] as const;
  const ablations = ablationsOf(caller, ablation, stride, sides);
  const noise = ablatedCopies(ablations, shape, fill);
  const isFlat = imageShape.length === 2 && encoding === "fill";
  return { ablations, sides, noise, encoded: { shape: isFlat ? imageShape : shape, encode } };
}

async function prepare(
  caller: string,
  classifier: Classifier,
  options: AblationOptions,
  imageShape: readonly number[],
  tensor: boolean,
) {
  const { ablations, encoded, sides, noise } = ablated(caller, options, imageShape);
  const prepared: PreparedClassifier = await prepareClassifier(caller, classifier, options, tensor);
  checkPreprocessings(caller, prepared.traits.preprocessing, options.range);
  const size = encoded.shape.reduce((product, length) => product * length, 1);
  const settings: RunSettings = {
    classifier: prepared,
    noise,
    batches: batchSizerOf({ ...options, sigma: 1 }, prepared, size),
    imageShape: encoded.shape,
    signal: options.signal,
    checkRows: options.checkRows ?? true,
    randomized: false,
  };
  return { ablations, encoded, sides, settings };
}
