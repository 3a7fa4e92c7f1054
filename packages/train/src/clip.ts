import { DmaeError } from "@dmae/core";
import type { Tensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";

/** The l2 norm of all tensors taken as one vector. Returns a new scalar; disposes of nothing. */
export function globalNorm(tensors: Tensors): tf.Scalar {
  const squares = Object.values(tensors).map((tensor) => tf.sum(tf.square(tensor)));
  return tf.sqrt(tf.addN(squares)) as tf.Scalar;
}

/**
 * Scales all gradients by `min(1, maxNorm / (norm + 1e-6))` where `norm` is their global l2 norm, as
 * `torch.nn.utils.clip_grad_norm_`. Disposes of nothing.
 */
export function clipByGlobalNorm(
  gradients: Tensors,
  maxNorm: number,
): { gradients: Tensors; norm: tf.Scalar } {
  if (!(maxNorm > 0))
    throw new DmaeError(
      "argument",
      `clipByGlobalNorm: maxNorm must be positive, got ${maxNorm}; Infinity clips nothing`,
      { value: maxNorm },
    );
  const norm = globalNorm(gradients);
  const factor = tf.minimum(tf.div(maxNorm, tf.add(norm, 1e-6)), 1);
  const clipped: Tensors = {};
  for (const [name, gradient] of Object.entries(gradients))
    clipped[name] = tf.mul(gradient, factor);
  return { gradients: clipped, norm };
}
