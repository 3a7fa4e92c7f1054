import { valueAndGradients } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";

/** l2 norm of each row, with the rank of `x`: `[B, 1, 1, 1]`. */
export function l2Norms(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.slice(1).map((_, i) => i + 1);
  return tf.sqrt(tf.sum(tf.square(x), axes, true));
}

/** Sizes to divide by: 0 becomes 1. */
export function orOne(sizes: tf.Tensor): tf.Tensor {
  return tf.where(tf.equal(sizes, 0), tf.onesLike(sizes), sizes);
}

/** Rows longer than `radius` shortened to it, `x radius / (|x| + 1e-7)`: torch's `renorm` on each row. */
export function projectToBall(x: tf.Tensor, radius: tf.Tensor | number): tf.Tensor {
  const norms = l2Norms(x);
  const factor = tf.div(radius, tf.add(norms, 1e-7));
  return tf.mul(x, tf.where(tf.greater(norms, radius), factor, tf.onesLike(norms)));
}

/** Gradient of a scalar function by one tensor, outside any surrounding gradient. */
export function gradientOf(fn: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor): tf.Tensor {
  return valueAndGradients((inputs) => ({ loss: fn(inputs.x!) }), { x }).gradients.x!;
}
