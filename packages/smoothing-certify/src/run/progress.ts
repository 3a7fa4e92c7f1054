/** How far a run is. */
export interface Progress {
  /** Images done, those of an interrupted run included. */
  readonly done: number;
  /** Images in all. */
  readonly total: number;
  /** Noisy samples classified in this session. */
  readonly samples: number;
  /** Noisy samples a second in this session. */
  readonly rate: number;
  /** Seconds since the start of this session. */
  readonly elapsed: number;
  /** Seconds that the remaining images will take at the rate so far; NaN before the first one. */
  readonly secondsLeft: number;
}

/** Keeps count of a run. */
export class ProgressMeter {
  private readonly started = performance.now();
  private samples = 0;
  private done: number;
  private last = 0;

  constructor(
    private readonly resumed: number,
    private readonly total: number,
  ) {
    this.done = resumed;
  }

  /** Samples were classified. */
  addSamples(count: number): void {
    this.samples += count;
  }

  /** An image is done; returns the seconds since the one before. */
  addImage(): number {
    this.done++;
    const now = this.elapsed();
    const seconds = now - this.last;
    this.last = now;
    return seconds;
  }

  /** The state now. */
  read(): Progress {
    const { samples, done, total, resumed } = this;
    const elapsed = this.elapsed();
    const secondsLeft = done > resumed ? (elapsed / (done - resumed)) * (total - done) : Number.NaN;
    return { done, total, samples, rate: samples / elapsed, elapsed, secondsLeft };
  }

  private elapsed(): number {
    return (performance.now() - this.started) / 1000;
  }
}
