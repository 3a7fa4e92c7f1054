import * as tf from "@tensorflow/tfjs-core";
import { quietly } from "./quietly.ts";

/** Side of the square matrices that {@link measureBackend} multiplies. */
export const probeSize = 256;

/** Runs after the first, which compiles and warms up; a backend that needs longer than this is not run again. */
const runs = 4;
const patience = 200;

/**
 * Milliseconds that the current backend needs for one product of two 256 x 256 matrices, result read back: the best of
 * three runs after one to warm up, or the first alone where that took more than 200 ms.
 *
 * @returns NaN when a number came out wrong: such a backend must not be chosen
 */
export function measureBackend(): Promise<number> {
  return quietly(async () => {
    // Every element of the product is 256 / 16^2 = 1, exactly, in any order of summation.
    const factor = tf.fill([probeSize, probeSize], 1 / 16);
    try {
      return await bestOf(factor);
    } finally {
      factor.dispose();
    }
  });
}

async function bestOf(factor: tf.Tensor): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run++) {
    const started = performance.now();
    const product = tf.matMul(factor, factor);
    const values = await product.data();
    const elapsed = performance.now() - started;
    product.dispose();
    if (!values.every((value) => value === 1)) return Number.NaN;
    if (elapsed > patience) return Math.min(best, elapsed);
    if (run > 0) best = Math.min(best, elapsed);
  }
  return best;
}
