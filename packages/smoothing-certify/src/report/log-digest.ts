import { DmaeError } from "@dmae/core";
import { show } from "../checks.ts";
import type { LogRow } from "../log/log-row.ts";

/** The part of a row that tables and curves depend on. */
export type DigestedRow = Pick<LogRow, "radius" | "correct"> &
  Partial<Pick<LogRow, "predict" | "samples" | "settings">>;

/** What tables and curves need of a log, in eight bytes for each correct row. */
export class LogDigest {
  /** Number of rows. */
  images = 0;
  /** Rows on which the smoothed classifier abstained. */
  abstained = 0;
  /** Whether radii are sides of square patches. */
  isPatch = false;
  /** Whether a row has settings. */
  hasSettings = false;
  /** Whether every radius is finite. */
  isFinite = true;
  /** Whether every radius of a row without settings has three significant digits at most. */
  isRounded = true;
  private readonly targets = new Set<number>();
  private samples = 0;
  private sampled = 0;
  private radii = new Float64Array(1024);
  private correct = 0;
  private sortedRadii: Float64Array | undefined;

  /** The digest of rows that are all there. */
  static of(rows: Iterable<DigestedRow>): LogDigest {
    const digest = new LogDigest();
    for (const row of rows) digest.add(row);
    return digest;
  }

  /** Adds a row. */
  add({ radius, correct, predict, samples, settings }: DigestedRow): void {
    this.images++;
    if (predict === -1) this.abstained++;
    if (settings) this.hasSettings = true;
    if (settings?.procedure === "patch") this.isPatch = true;
    if (settings?.procedure === "at-radius") this.targets.add(Number(settings.target));
    if (!Number.isFinite(radius)) this.isFinite = false;
    if (this.isRounded && !settings) this.isRounded = Number(radius.toPrecision(3)) === radius;
    if (samples !== undefined) {
      this.samples += samples;
      this.sampled++;
    }
    if (correct) this.push(radius);
  }

  /** The target of a sequential test at one radius. */
  get target(): number | undefined {
    return this.targets.values().next().value;
  }

  /** Mean number of samples of the rows that say theirs. */
  get meanSamples(): number | undefined {
    return this.sampled > 0 ? this.samples / this.sampled : undefined;
  }

  /** Radii of the correct rows, in ascending order. */
  get certified(): Float64Array {
    this.sortedRadii ??= this.radii
      .subarray(0, this.correct)
      .filter((radius) => !Number.isNaN(radius))
      .sort();
    return this.sortedRadii;
  }

  /** The radius that a share of the rows does not exceed, 0 where the prediction is wrong. */
  quantile(share: number): number {
    const wrong = this.images - this.correct;
    return this.certified[Math.ceil(share * this.images) - 1 - wrong] ?? 0;
  }

  /** Correct rows with a radius of at least r. */
  certifiedCount(caller: string, r: number): number {
    if (!(r >= 0)) throw new DmaeError("argument", `${caller}: radii must be >= 0, got ${show(r)}`);
    for (const target of this.targets)
      if (target !== r)
        throw new DmaeError(
          "argument",
          `${caller}: a sequential test at radius ${target} says nothing about radius ${r}`,
        );
    return this.certified.length - countBelow(this.certified, r);
  }

  /** Certified accuracy at r. */
  certifiedShare(caller: string, r: number): number {
    return this.certifiedCount(caller, r) / this.images;
  }

  /** Mean of the radius over all rows, 0 where the prediction is wrong. */
  averageRadius(caller: string): number {
    if (this.targets.size > 0)
      throw new DmaeError(
        "argument",
        `${caller}: a sequential test at one radius gives no radii to average`,
      );
    let sum = 0;
    for (let i = 0; i < this.correct; i++) sum += this.radii[i]!;
    return sum / this.images;
  }

  private push(radius: number): void {
    if (this.correct === this.radii.length) {
      const larger = new Float64Array(2 * this.correct);
      larger.set(this.radii);
      this.radii = larger;
    }
    this.radii[this.correct++] = radius;
    this.sortedRadii = undefined;
  }
}

/** How many of ascending values are less than `limit`. */
function countBelow(values: Float64Array, limit: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
