import { DmaeError, type ImageDataset } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkInteger, show } from "../../checks.ts";
import {
  type Classifier,
  type ClassifierOptions,
  classifierNames,
  type PreparedClassifier,
  prepareClassifier,
} from "../../classifier/classifier.ts";
import { type ImageInput, readImage } from "../../classifier/image.ts";
import {
  checkPixels,
  checkPreprocessings,
  checkRange,
  type Range,
} from "../../classifier/range.ts";
import {
  readItem,
  type SelectionOptions,
  selectIndices,
  selectionNames,
} from "../../run/dataset-selection.ts";
import { batchSizerOf } from "../../run/options.ts";
import { type Rows, rowsOf } from "../../run/rows.ts";
import { type RunSettings, runTasks, type Task } from "../../run/run-tasks.ts";
import { ablatedCopies, type EncodedImage, type Encoding, encodingOf } from "./ablated-copies.ts";
import { type Ablation, ablationsOf, type PatchSize, readPatch } from "./ablation.ts";
import { metBySide, type PatchResult, patchProcedure } from "./patch-procedure.ts";

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
export interface PatchDatasetOptions extends AblationOptions, SelectionOptions {}

/** One image of {@link certifyDatasetPatch}. */
export interface PatchRow extends Omit<PatchResult, "certified" | "met" | "prediction"> {
  /** Index of the image. */
  readonly idx: number;
  readonly label: number;
  readonly predict: number;
  /** 1 where the prediction is the label, else 0. */
  readonly correct: 0 | 1;
}

const ablationNames = {
  ...classifierNames,
  ablation: true,
  stride: true,
  encoding: true,
  fill: true,
  batchSize: true,
  range: true,
  checkRows: true,
  signal: true,
} satisfies OptionNames<AblationOptions>;
const patchNames = {
  ...ablationNames,
  patch: true,
  shape: true,
} satisfies OptionNames<PatchOptions>;
const datasetNames = {
  ...ablationNames,
  ...selectionNames,
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
  const image = await readImage(caller, x, { ...(shape && { shape }), ...(range && { range }) });
  const { ablations, encoded, sides, settings } = await prepare(
    caller,
    classifier,
    options,
    image.shape,
    image.tensor,
  );
  const met = ablations.mostMet(readPatch(caller, options.patch, sides));
  const procedure = patchProcedure(ablations, met, metBySide(ablations, sides));
  const tasks: Task<PatchResult>[] = [{ index: 0, image: encoded.encode(image.data), procedure }];
  let result: PatchResult | undefined;
  for await (const finished of runTasks(tasks.values(), settings)) result = finished.result;
  return result!;
}

/**
 * {@link certifyPatch} for the images of a data set. One run gives the certified accuracy at every size of patch,
 * by `largestPatch`; see `formatPatchAccuracy`. Rows come in the order in which images are done.
 *
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
  const indices = selectIndices(caller, dataset, options);
  const numClasses = options.numClasses ?? dataset.numClasses;
  const shape = dataset.imageShape;
  const { ablations, encoded, sides, settings } = await prepare(
    caller,
    classifier,
    { ...options, numClasses },
    shape,
    false,
  );
  const met = metBySide(ablations, sides);
  const size = shape.reduce((product, length) => product * length, 1);
  const labels = new Map<number, number>();
  async function* tasks(): AsyncGenerator<Task<PatchResult>, void, void> {
    for (const index of indices) {
      const { image, label } = await readItem(caller, dataset, index);
      if (image?.length !== size)
        throw new DmaeError(
          "shape",
          `${caller}: image ${index} must have ${size} numbers for shape [${shape}], got ${show(image?.length)}`,
        );
      checkPixels(`${caller}: image ${index}`, image, options.range);
      checkInteger(caller, `label of image ${index}`, label, 0);
      labels.set(index, label);
      const procedure = patchProcedure(ablations, 0, met);
      yield { index, image: encoded.encode(image).slice(), procedure };
    }
  }
  for await (const { index, result } of runTasks(tasks(), settings)) {
    const { prediction: predict, certified: _, met: __, ...found } = result;
    const label = labels.get(index)!;
    labels.delete(index);
    yield { idx: index, label, predict, correct: predict === label ? 1 : 0, ...found };
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

async function prepare(
  caller: string,
  classifier: Classifier,
  options: AblationOptions,
  imageShape: readonly number[],
  tensor: boolean,
) {
  const { ablation, stride = 1, encoding = "fill", fill = 0, range, signal } = options;
  const encoded: EncodedImage = encodingOf(caller, encoding, imageShape);
  const sides = [imageShape[0]!, imageShape[1]!] as const;
  const ablations = ablationsOf(caller, ablation, stride, sides);
  const prepared: PreparedClassifier = await prepareClassifier(caller, classifier, options, tensor);
  checkPreprocessings(caller, prepared.traits.preprocessing, range);
  const size = encoded.shape.reduce((product, length) => product * length, 1);
  const settings: RunSettings = {
    classifier: prepared,
    noise: ablatedCopies(ablations, encoded.shape, fill),
    batches: batchSizerOf({ ...options, sigma: 1 }, prepared, size),
    imageShape: imageShape.length === 2 && encoding === "fill" ? imageShape : encoded.shape,
    signal,
    checkRows: options.checkRows ?? true,
    randomized: false,
  };
  return { ablations, encoded, sides, settings };
}
