/** Milliseconds between two pauses. */
const INTERVAL = 16;

/**
 * Lets timers and signals in while a classifier works synchronously: without a pause no `setTimeout`, no
 * Ctrl-C and no `AbortSignal.timeout` would get a turn before the end of the run.
 */
export class Breather {
  private last = performance.now();

  /** Waits for the next turn of the event loop, where the last pause is long enough ago. */
  async pause(): Promise<void> {
    if (performance.now() - this.last < INTERVAL) return;
    await new Promise((resolve) => {
      if (typeof setImmediate === "function") setImmediate(resolve);
      else setTimeout(resolve);
    });
    this.last = performance.now();
  }
}
