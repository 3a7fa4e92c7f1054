import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";

/**
 * Stochastic depth (arXiv:1603.09382) with the draw as an input: each row of `x` times its scale.
 *
 * @param x `[B, ...]` float32, the output of a residual branch
 * @param scale `[B]`: 0 for a dropped row, `1 / (1 - rate)` for a kept one
 * @returns the shape of `x`; the caller disposes of it
 * @throws DmaeError "shape" if `scale` is not `[B]`
 */
export function dropPath(x: tf.Tensor, scale: tf.Tensor): tf.Tensor {
  if (scale.rank !== 1 || scale.shape[0] !== x.shape[0])
    throw new DmaeError("shape", `dropPath: scale must be [${x.shape[0]}], got [${scale.shape}]`);
  return tf.tidy(() => tf.mul(x, tf.reshape(scale, [-1, ...x.shape.slice(1).map(() => 1)])));
}
