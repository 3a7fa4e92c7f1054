/** Where a run stands. */
export interface TrainingProgress {
  /** Steps done, of the whole run (a resumed one included). */
  readonly step: number;
  /** Steps in the whole run. */
  readonly steps: number;
  /** Fractional epochs done. */
  readonly epoch: number;
  /** Epochs in the whole run. */
  readonly epochs: number;
  /** Scalars of the step just done. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Steps per second, smoothed. */
  readonly stepsPerSecond: number;
  /** Seconds since this process began. */
  readonly seconds: number;
  /** Estimated seconds to the end. */
  readonly secondsLeft: number;
}

/** Measures a smoothed rate; the first step (preparation, warm-up of caches) counts little. */
export function rateMeter(now: () => number = () => performance.now()) {
  const began = now();
  let previous = began;
  let smoothed = 0;
  let weight = 0;
  return {
    /** Call after each step. */
    tick(): void {
      const time = now();
      smoothed = 0.95 * smoothed + 0.05 * (time - previous);
      weight = 0.95 * weight + 0.05;
      previous = time;
    },
    /** Steps per second. */
    rate: () => (smoothed > 0 ? (1000 * weight) / smoothed : 0),
    /** Seconds since the start. */
    seconds: () => (now() - began) / 1000,
  };
}
