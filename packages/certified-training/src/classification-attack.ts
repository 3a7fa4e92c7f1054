import { type ApplyFunction, type Params, softmaxCrossEntropy } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { gradientOf, l2Norms, orOne } from "./ball.ts";
import { atLabel, crossEntropy, meanSoftmax, noisyCopies, splitCopies } from "./copies.ts";
import type { MethodDraws } from "./method.ts";

/** What an attack on the smoothed classifier works on. */
export interface AttackProblem {
  readonly apply: ApplyFunction;
  /** Frozen. */
  readonly params: Params;
  /** `[B, H, W, C]` in [0, 1]. */
  readonly images: tf.Tensor;
  /** `[B, K]`. */
  readonly targets: tf.Tensor;
  /** `[m * B, H, W, C]`, scaled by sigma; the same in every step. */
  readonly noise: tf.Tensor;
  /** m. */
  readonly copies: number;
}

/** Scores of all copies of `images + delta`, the model in evaluation mode, `[m * B, K]`. */
export function attackedLogits(problem: AttackProblem, delta: tf.Tensor): tf.Tensor {
  const { apply, params, images, noise, copies } = problem;
  return apply(params, noisyCopies(tf.add(images, delta), noise, copies)).logits;
}

/**
 * What the attacker raises: the sum of the cross entropies for one copy; else the mean over the images of
 * {@link smoothedCrossEntropy}.
 */
export function attackLoss(problem: AttackProblem, logits: tf.Tensor): tf.Tensor {
  const { targets, copies } = problem;
  if (copies === 1) return tf.sum(softmaxCrossEntropy(logits, targets));
  return tf.mean(smoothedCrossEntropy(problem, logits));
}

/** Cross entropy of the smoothed classifier for each image, `-sum_c t_c log max(mean_j p_j(c), 1e-20)`, `[B]`. */
export function smoothedCrossEntropy(
  { targets, copies }: Pick<AttackProblem, "targets" | "copies">,
  logits: tf.Tensor,
): tf.Tensor {
  return crossEntropy(tf.maximum(meanSoftmax(logits, copies), 1e-20), targets);
}

/** Gradient of {@link attackLoss} by delta. */
export function attackGradient(problem: AttackProblem, delta: tf.Tensor): tf.Tensor {
  return gradientOf((d) => attackLoss(problem, attackedLogits(problem, d)), delta);
}

/**
 * An estimate of the ascent direction without gradients, `mean_j -p_y(x + delta + n_j) n_j`: the derivative of the
 * smoothed probability by Stein's lemma, to a factor.
 */
export function gradientFreeDirection(problem: AttackProblem, delta: tf.Tensor): tf.Tensor {
  const { noise, copies, targets } = problem;
  const p = splitCopies(tf.softmax(attackedLogits(problem, delta)), copies);
  const weights = tf.neg(atLabel(p, targets)); // [m, B]
  const shape = [...weights.shape, ...noise.shape.slice(1).map(() => 1)];
  return tf.mean(tf.mul(splitCopies(noise, copies), tf.reshape(weights, shape)), 0);
}

/** The standard normals that replace a zero gradient in step `step`, `[B, H, W, C]`. */
export function fallbackDirection(
  { directions, noise }: MethodDraws,
  images: tf.Tensor,
  step: number,
): tf.Tensor {
  const from = directions ?? tf.reshape(noise, [-1, ...images.shape]); // [steps or m, B, H, W, C]
  const index = directions ? step : step % from.shape[0]!;
  return tf.reshape(tf.slice(from, [index, 0, 0, 0, 0], [1, ...images.shape]), images.shape);
}

/** Each row of `gradient` at length 1; a row that is exactly 0 becomes the row of `fallback`, as it is. */
export function unitDirection(gradient: tf.Tensor, fallback: tf.Tensor): tf.Tensor {
  const norms = l2Norms(gradient);
  return tf.where(tf.equal(norms, 0), fallback, tf.div(gradient, orOne(norms)));
}
