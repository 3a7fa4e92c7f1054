import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";

/** Runs `body` and fails if it leaves more (or fewer) tensors behind than `kept`. */
export async function expectNoLeak(body: () => unknown, kept = 0): Promise<void> {
  const before = tf.memory().numTensors;
  await body();
  expect(tf.memory().numTensors - before, "tensors left behind").toBe(kept);
}

/**
 * Central finite differences of `fn` (a scalar function of host values) at `at`, for the elements
 * `indices` (all by default).
 */
export function finiteDifferences(
  fn: (x: Float32Array) => number,
  at: Float32Array,
  step = 1e-3,
  indices: readonly number[] = Array.from(at, (_, i) => i),
): number[] {
  return indices.map((i) => {
    const high = at.slice();
    const low = at.slice();
    high[i] = at[i]! + step;
    low[i] = at[i]! - step;
    return (fn(high) - fn(low)) / (high[i]! - low[i]!);
  });
}
