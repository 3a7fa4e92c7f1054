/** The size that is tried first. */
const FIRST = 16;

/** A larger size must be faster by this factor to be kept. */
const GAIN = 1.03;

/** Seconds beyond which a batch is not made larger: a run must notice when it is told to stop. */
const LONGEST = 2;

/**
 * Finds the size of batch at which a model is fastest: doubles it as long as that pays, each size judged
 * by the faster of two batches. Votes do not depend on the size, so measuring costs nothing.
 */
export class BatchSizer {
  /** Rows to put into the next batch. */
  size: number;
  private settled: boolean;
  private tried = 0;
  /** Seconds a row, at the current size and at the one before. */
  private best = Number.POSITIVE_INFINITY;
  private before = Number.POSITIVE_INFINITY;

  /** @param tuned whether to look for a size below `largest` at all */
  constructor(
    readonly largest: number,
    tuned: boolean,
  ) {
    this.settled = !tuned || largest <= FIRST;
    this.size = this.settled ? largest : FIRST;
  }

  /** Takes in how long a batch took. */
  record(rows: number, seconds: number): void {
    if (this.settled || rows !== this.size) return;
    this.best = Math.min(this.best, seconds / rows);
    if (++this.tried < 2) return;
    if (this.best * GAIN > this.before) {
      this.size /= 2;
      this.settled = true;
    } else if (2 * this.size > this.largest || this.best * this.size > LONGEST) this.settled = true;
    else {
      this.size *= 2;
      this.before = this.best;
      this.best = Number.POSITIVE_INFINITY;
      this.tried = 0;
    }
  }
}
