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
  /** Seconds that the remaining images will take at the rate so far; undefined before this session's first one. */
  readonly secondsLeft: number | undefined;
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
    const { samples, done, total } = this;
    const elapsed = this.elapsed();
    const rate = elapsed > 0 ? samples / elapsed : 0;
    return { done, total, samples, rate, elapsed, secondsLeft: this.secondsLeft(elapsed) };
  }

  private secondsLeft(elapsed: number): number | undefined {
    const { done, total, resumed } = this;
    if (done === total) return 0;
    return done > resumed ? (elapsed / (done - resumed)) * (total - done) : undefined;
  }

  private elapsed(): number {
    return (performance.now() - this.started) / 1000;
  }
}
