import { DmaeError } from "@dmae/core";
import type { LogRow, LogSettings } from "../log/log-row.ts";
import { AttackDigest } from "./attack-digest.ts";
import { countBelow, NumberList } from "./number-list.ts";
import { kindName, kindOf, type RadiusKind, sameKind } from "./radius-kind.ts";

/** The part of a row that tables and curves depend on. */
export type DigestedRow = Pick<LogRow, "radius" | "correct"> &
  Partial<Pick<LogRow, "predict" | "samples" | "attacked" | "clean" | "settings">>;

/** What tables and curves need of a log, in eight bytes for each correct row. */
export class LogDigest {
  /** Number of rows. */
  images = 0;
  /** Rows on which the smoothed classifier abstained. */
  abstained = 0;
  /** What the attacks of the run found, if it attacked. */
  attacks: AttackDigest | undefined;
  /** Whether a row has settings. */
  hasSettings = false;
  /** Whether every radius is finite. */
  isFinite = true;
  /** Whether every radius of a row without settings has three significant digits at most. */
  isRounded = true;
  private readonly targets = new Set<number>();
  private readonly kinds: RadiusKind[] = [];
  private last: LogSettings | undefined;
  private samples = 0;
  private sampled = 0;
  private readonly radii = new NumberList();

  /** The digest of rows that are all there. */
  static of(rows: Iterable<DigestedRow>): LogDigest {
    const digest = new LogDigest();
    for (const row of rows) digest.add(row);
    return digest;
  }

  /** Adds a row. */
  add(row: DigestedRow): void {
    const { radius, correct, predict, samples, settings } = row;
    this.images++;
    if (row.attacked !== undefined) (this.attacks ??= new AttackDigest()).add(row);
    if (predict === -1) this.abstained++;
    if (settings) this.hasSettings = true;
    this.addKind(settings);
    if (settings?.procedure === "at-radius") this.targets.add(Number(settings.target));
    if (!Number.isFinite(radius)) this.isFinite = false;
    if (this.isRounded && !settings) this.isRounded = Number(radius.toPrecision(3)) === radius;
    if (samples !== undefined) {
      this.samples += samples;
      this.sampled++;
    }
    if (correct) this.radii.push(radius);
  }

  private addKind(settings: LogSettings | undefined): void {
    if (this.kinds.length > 0 && settings === this.last) return; // most rows share one object
    this.last = settings;
    const kind = kindOf(settings);
    if (!this.kinds.some((known) => sameKind(known, kind))) this.kinds.push(kind);
  }

  /** What the radii are. */
  kind(caller: string): RadiusKind {
    const [kind = kindOf(undefined), other] = this.kinds;
    if (other)
      throw new DmaeError(
        "argument",
        `${caller}: the radii of all rows must be of one kind, got ${kindName(kind)} and ${kindName(other)}; give one kind at a time`,
      );
    return kind;
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
    return this.radii.sorted;
  }

  /** The radius that a share of the rows does not exceed, 0 where the prediction is wrong. */
  quantile(share: number): number {
    const wrong = this.images - this.radii.length;
    return this.certified[Math.ceil(share * this.images) - 1 - wrong] ?? 0;
  }

  /** Correct rows with a radius of at least r. */
  certifiedCount(caller: string, r: number): number {
    this.kind(caller);
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
    this.kind(caller);
    if (this.targets.size > 0)
      throw new DmaeError(
        "argument",
        `${caller}: a sequential test at one radius gives no radii to average`,
      );
    return this.radii.sum() / this.images;
  }
}
