import { DmaeError, type FloatArray } from "@dmae/core";
import type { PreparedClassifier } from "../classifier/classifier.ts";
import { checkFinite } from "../classifier/finite.ts";
import type { Outputs } from "../classifier/outputs.ts";
import type { NoiseSource } from "../noise/noise-source.ts";
import { ClassIdCheck, joined } from "./class-id-check.ts";

/** Rows that are compared, and the most rows of a batch that they are compared in. */
const ROWS = 8;
const BATCH_ROWS = 16;

/** Share of the logits' spread by which float rounding may change a logit in another batch. */
const TOLERANCE = 1e-3;

const causes =
  "batch normalization in training mode, dropout left on, dynamic quantization, a mean over the batch";

/** Said where the check at the end fails, which the one at the beginning did not. */
const AT_END = " at the end of the run";

/** Settings of a {@link RowCheck}. */
export interface RowCheckSettings {
  readonly classifier: PreparedClassifier;
  readonly noise: NoiseSource;
  readonly batchSize: number;
  readonly imageShape: readonly number[];
  readonly randomized: boolean;
}

/** The first batch of a run: its first rows are noisy copies of one image. */
export interface FirstBatch {
  readonly image: FloatArray;
  /** Index of the image. */
  readonly index: number;
  /** What was sent, padding included: a copy made before, as a classifier may write to its input. */
  readonly batch: Float32Array;
  /** Rows of it that are no padding; where they are few, the check draws a batch of its own. */
  readonly rows: number;
  readonly answers?: Outputs;
}

/**
 * Checks that a row's class does not depend on the rows beside it. The votes of a certificate must be
 * independent draws of one function; a classifier that takes statistics over the batch makes them
 * dependent, and then no bound holds.
 *
 * Noisy rows go through the classifier twice: in the first batch of the run, and, in reverse
 * order and in a batch of another size, behind rows of the opposite noise, four times as large, which
 * move any mean, variance or range over the batch. At the end of the run the second batch must still give the answers of the
 * first. That is two small batches a run; if they differ, a third one locates the fault. Class ids say less
 * than logits, and so do votes, so where there are no logits the rows of {@link ClassIdCheck} come on top.
 *
 * It is a check, no proof: dependence that these batches do not show is missed, with class ids more easily.
 */
export class RowCheck {
  /** Most rows that the first batch of the run should have: all of it is kept. */
  readonly batchRows: number;
  private readonly size: number;
  private first: { image: FloatArray; batch: Float32Array; answers: Outputs } | undefined;
  private hasBegun = false;
  private ids: ClassIdCheck | undefined;
  /** The rows of the first batch, which `ids` knows by identity. */
  private kept: Float32Array[] = [];

  /** @throws {DmaeError} "classifier" for a model that says of itself that it mixes rows or is random */
  constructor(private readonly settings: RowCheckSettings) {
    const { batchSize, classifier, imageShape } = settings;
    this.size = imageShape.reduce((product, length) => product * length, 1);
    this.batchRows = classifier.traits.fixedBatchSize ?? Math.min(batchSize, BATCH_ROWS);
    this.refuseKnown();
  }

  /** The check before any vote of the run counts. */
  async begin({ image, index, batch, rows, answers }: FirstBatch): Promise<void> {
    if (this.settings.randomized) return;
    const enough = answers && rows >= Math.min(ROWS + 1, this.batchRows);
    const first = enough ? { batch, answers } : await this.ownBatch(image, index);
    this.first = { image: image.slice(), ...first };
    this.kept = rowsOf(first.batch, this.size);
    const hasLogits = first.answers.logits && !this.settings.classifier.traits.votesOnly;
    if (!hasLogits && this.batchRows > 1) this.ids = this.startIdCheck();
    await this.compareInOtherCompany("");
    this.hasBegun = true;
  }

  /** The check at the end of the run; its error says `rowsInvalid`. */
  async end(): Promise<void> {
    if (this.hasBegun) await this.compareInOtherCompany(AT_END);
  }

  /** A batch drawn for the check, where the first one of the run has too few rows. */
  private async ownBatch(image: FloatArray, index: number) {
    const batch = new Float32Array(this.batchRows * this.size);
    const address = { image: index, stage: "selection", first: 0, count: this.batchRows } as const;
    await this.settings.noise.fill(batch, image, address);
    checkFinite("the noise", batch, this.size);
    return { batch, answers: await this.classify(batch.slice()) };
  }

  private async compareInOtherCompany(when: string): Promise<void> {
    const { image, batch, answers } = this.first!;
    const { size } = this;
    const batchRows = batch.length / size;
    if (batchRows === 1) return this.compareAgain(when);
    const rows = Math.min(ROWS, batchRows - 1);
    const fixed = this.settings.classifier.traits.fixedBatchSize;
    const sent = fixed ?? Math.max(rows + 1, batchRows - 3);
    const other: Float32Array[] = [];
    const factor = when === AT_END ? 4 : -4; // the sign moves what depends on the mean, or on one row alone
    const { kept } = this;
    for (let row = 0; row < sent - rows; row++)
      other.push(kept[row % batchRows]!.map((v, i) => image[i]! + factor * (v - image[i]!)));
    other.push(...kept.slice(0, rows).reverse());
    const moved = await this.classify(joined(other));
    if (this.ids) return this.compareIds(this.ids, other, moved.classes, when);
    const change = compare(answers, moved, rows, (row) => sent - 1 - row);
    if (!change) return;
    await this.compareAgain(when);
    throw dependence(change, when);
  }

  private startIdCheck(): ClassIdCheck {
    const { image, answers } = this.first!;
    const ask = async (asked: Float32Array) => (await this.classify(asked)).classes;
    const fixed = this.settings.classifier.traits.fixedBatchSize;
    const check = new ClassIdCheck(ask, fixed, this.batchRows, image);
    check.record(this.kept, answers.classes);
    return check;
  }

  private async compareIds(
    ids: ClassIdCheck,
    other: readonly Float32Array[],
    classes: Int32Array,
    when: string,
  ): Promise<void> {
    ids.record(other, classes);
    if (!when) await ids.run(this.kept);
    if (!ids.hasFlips) return;
    await this.compareAgain(when);
    const changed = await ids.confirm();
    if (changed === 0) return;
    const text = `${changed} ${changed === 1 ? "row" : "rows"} changed their class`;
    throw dependence({ text, largest: Number.NaN, classes: changed }, when);
  }

  /** The same batch again: tells randomness and change from dependence on the batch. */
  private async compareAgain(when: string): Promise<void> {
    const { batch, answers } = this.first!;
    const again = await this.classify(batch.slice()); // the classifier may write to its input
    const change = compare(answers, again, again.classes.length, (row) => row);
    if (!change) return;
    if (when)
      throw failure(
        `at the end of the run the classifier gave other answers to the same batch than before it (${change.text}), so it changed meanwhile or is random; do not use the rows of this run`,
        change,
        when,
      );
    throw failure(
      `the classifier gave different answers to the same batch (${change.text}); usual causes: ${causes}. If it is random on purpose, independently for each row, say randomized: true`,
      change,
    );
  }

  private classify(batch: Float32Array): Promise<Outputs> {
    const rows = batch.length / this.size;
    return this.settings.classifier.classify(batch, [rows, ...this.settings.imageShape]);
  }

  /** What the graph of the model says about itself. */
  private refuseKnown(): void {
    const { rowMixers = [], randomParts = [] } = this.settings.classifier.traits;
    if (rowMixers.length > 0 && this.batchRows > 1)
      throw failure(
        `the classifier's answer to a row depends on the rows beside it, so its votes would not be independent and no bound would hold: ${rowMixers.join("; ")}. Export the model for inference, quantize it with fixed scales, or set batchSize: 1`,
      );
    if (randomParts.length > 0 && !this.settings.randomized)
      throw failure(
        `the classifier is random: ${randomParts.join("; ")}. Export the model for inference, or, if it is meant to be random, independently for each row, say randomized: true`,
      );
  }
}

/** Whether an error says that rows which are there already must not be used. */
export const saysRowsInvalid = (error: unknown): error is DmaeError =>
  DmaeError.isInstance(error) && error.details.rowsInvalid === true;

/** Ends what is checked at its end, where a run fails: only what is said about the rows matters more than the run's own error. */
export async function endAfterError(end: () => Promise<unknown> | undefined): Promise<void> {
  try {
    await end();
  } catch (error) {
    if (saysRowsInvalid(error)) throw error;
  }
}

interface Change {
  readonly text: string;
  readonly largest: number;
  readonly classes: number;
}

/** What differs between the answers to rows `0 … rows - 1` and their places in another batch. */
function compare(
  a: Outputs,
  b: Outputs,
  rows: number,
  place: (row: number) => number,
): Change | undefined {
  let classes = 0;
  for (let row = 0; row < rows; row++) if (a.classes[row] !== b.classes[place(row)]) classes++;
  if (!a.logits || !b.logits) {
    if (classes === 0) return undefined;
    return { text: `${classes} of ${rows} classes changed`, largest: Number.NaN, classes };
  }
  const width = a.numClasses;
  let largest = 0;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < rows; row++)
    for (let c = 0; c < width; c++) {
      const before = a.logits[row * width + c]!;
      const after = b.logits[place(row) * width + c]!;
      if (before === after) continue; // infinities too
      largest = Math.max(largest, Math.abs(before - after));
    }
  for (let i = 0; i < rows * width; i++) {
    if (!Number.isFinite(a.logits[i]!)) continue;
    low = Math.min(low, a.logits[i]!);
    high = Math.max(high, a.logits[i]!);
  }
  const spread = Math.max(0, high - low); // 0 where no logit is finite
  if (largest <= TOLERANCE * spread) return undefined;
  const text = `logits differ by up to ${largest.toPrecision(3)}, their spread is ${spread.toPrecision(3)}; ${classes} of ${rows} classes changed`;
  return { text, largest, classes };
}

const rowsOf = (batch: Float32Array, size: number) =>
  Array.from({ length: batch.length / size }, (_, row) =>
    batch.subarray(row * size, (row + 1) * size),
  );

const dependence = (change: Change, when: string) =>
  failure(
    `the classifier's answer to a row depends on the rows beside it${when} (${change.text}), so its votes are not independent and no bound holds${when && "; do not use the rows of this run"}; usual causes: ${causes}`,
    change,
    when,
  );

function failure(problem: string, change?: Change, when = ""): DmaeError {
  const details = {
    ...(change && { largestDifference: change.largest, changedClasses: change.classes }),
    ...(when === AT_END && { rowsInvalid: true }),
  };
  return new DmaeError("classifier", `certify: ${problem}`, details);
}
