import * as tf from "@tensorflow/tfjs-core";

/** The scale in force, and one number for each gradient that was found under it: NaN where it is not finite, else 0. */
let scope: { readonly scale: tf.Scalar; readonly checks: tf.Tensor[] } | null = null;

/** What {@link withLossScale} returns. */
export interface ScaledResult<T> {
  /** What the function returned. */
  readonly value: T;
  /** A bool scalar: every gradient is finite. */
  readonly finite: tf.Scalar;
}

/**
 * Lets `valueAndGradients` within `fn` differentiate `scale` times the loss and divide the gradients by it, so that small ones do
 * not vanish in float16 ("Mixed precision training", section 3.2, arXiv:1710.03740). Losses and gradients come out unscaled.
 *
 * @param scale a power of two, scalar
 */
export function withLossScale<T>(scale: tf.Scalar, fn: () => T): ScaledResult<T> {
  const before = scope;
  const checks: tf.Tensor[] = [];
  scope = { scale, checks };
  try {
    const value = fn();
    const total = checks.length > 0 ? tf.addN(checks) : tf.scalar(0);
    return { value, finite: tf.equal(total, 0) as tf.Scalar };
  } finally {
    tf.dispose(checks);
    scope = before;
  }
}

/** The gradient of the loss by itself that a backward pass starts from. */
export const seedOf = (loss: tf.Tensor): tf.Tensor =>
  scope ? tf.mul(tf.onesLike(loss), scope.scale) : tf.onesLike(loss);

/** A gradient as it is without a scale. */
export function unscaled(gradient: tf.Tensor): tf.Tensor {
  if (!scope) return gradient;
  scope.checks.push(tf.keep(tf.sum(tf.mul(gradient, 0)))); // outlives the tidy around it
  return tf.div(gradient, scope.scale);
}
