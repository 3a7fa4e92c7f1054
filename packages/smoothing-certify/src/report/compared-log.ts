import type { LogRow, LogSettings } from "../log/log-row.ts";
import { argMax } from "../statistics/arg-max.ts";

/** The votes of a row for its label, as far as a comparison needs them. */
export interface VoteRow {
  readonly correct: 0 | 1;
  /** Whether the label was the class to certify, so that another number of votes may certify it. */
  readonly guessed: boolean;
  readonly radius: number;
  /** Votes for the label among `total`; undefined where the row does not say, and `total` is 0 then. */
  readonly votes: number | undefined;
  readonly total: number;
  readonly settings: LogSettings | undefined;
}

/** What a comparison needs of a log. Rows with the same votes share one object. */
export class ComparedLog {
  readonly images: number[] = [];
  readonly labels: number[] = [];
  readonly votes: VoteRow[] = [];
  private readonly bySettings = new Map<LogSettings | undefined, Map<string, VoteRow>>();

  /** The log of rows that are all there. */
  static of(rows: Iterable<LogRow>): ComparedLog {
    const log = new ComparedLog();
    for (const row of rows) log.add(row);
    return log;
  }

  /** Whether a row does not say its settings, as those of other tools. */
  get lacksSettings(): boolean {
    return this.bySettings.has(undefined);
  }

  /** Adds a row. */
  add({ idx, label, correct, radius, counts0, counts, settings }: LogRow): void {
    const sum = counts?.reduce((sum, count) => sum + count, 0) ?? 0;
    const votes = sum > 0 ? counts?.[label] : undefined;
    const total = votes === undefined ? 0 : sum;
    this.images.push(idx);
    this.labels.push(label);
    const shared = this.known(settings);
    const abstained = correct === 0 && counts0 !== undefined && argMax(counts0) === label;
    const guessed = correct === 1 || (abstained && votes !== undefined);
    const name = guessed ? (votes === undefined ? `r${radius}` : `${votes} ${total}`) : "wrong";
    let row = shared.get(name);
    if (!row) shared.set(name, (row = { correct, guessed, radius, votes, total, settings }));
    this.votes.push(row);
  }

  /** Where each image is in the lists. */
  places(): { get(image: number): number | undefined } {
    const { images } = this;
    const ascending = images.every((image, i) => i === 0 || image > images[i - 1]!);
    if (!ascending) return new Map(images.map((image, i) => [image, i]));
    return { get: (image) => placeOf(image, images) };
  }

  private known(settings: LogSettings | undefined): Map<string, VoteRow> {
    let known = this.bySettings.get(settings);
    if (!known) this.bySettings.set(settings, (known = new Map()));
    return known;
  }
}

/** Where a value is in an ascending list: a search takes no memory. */
function placeOf(value: number, list: readonly number[]): number | undefined {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return list[low] === value ? low : undefined;
}
