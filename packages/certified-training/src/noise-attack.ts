import { klDivergence } from "@dmae/consistency-loss/divergence";
import type { ApplyFunction, Params } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { gradientOf, l2Norms, orOne, projectToBall } from "./ball.ts";
import { noisyCopies, repeatRows } from "./copies.ts";

/** What {@link noiseAttack} works on. */
export interface NoiseProblem {
  /** `[B, H, W, C]`. */
  readonly images: tf.Tensor;
  /** `[B, K]`. */
  readonly softLabels: tf.Tensor;
  /** `[m * B, H, W, C]`, scaled by sigma. */
  readonly noise: tf.Tensor;
  /** m. */
  readonly copies: number;
}

/**
 * Moves the noise of every copy to raise `sum_i mean_j KL(pb_i || softmax f(x_i + n_ij))`: steps of length
 * `2 radius / steps`, each followed by the l2 ball around the original noise and then by the original's mean and root mean
 * square. That last correction comes after the projection, so the distance may end a little above `radius`. Images under
 * noise are not clamped. (arXiv:2212.09000; `KL_PGD` in `train_catrs.py`.)
 *
 * @returns adversarial noise `[m * B, H, W, C]`
 */
export function noiseAttack(
  apply: ApplyFunction,
  params: Params,
  { images, softLabels, noise, copies }: NoiseProblem,
  { radius, steps }: { readonly radius: tf.Tensor | number; readonly steps: number },
): tf.Tensor {
  const rate = tf.div(tf.mul(radius, 2), steps);
  const targets = repeatRows(softLabels, noise.shape[0]!);
  const original = moments(noise);
  let current = noise;
  for (let step = 0; step < steps; step++) {
    const gradient = gradientOf((n) => {
      const { logits } = apply(params, noisyCopies(images, n, copies));
      return tf.div(tf.sum(klDivergence(targets, logits)), copies);
    }, current);
    const direction = tf.div(gradient, tf.add(l2Norms(gradient), 1e-8));
    const moved = tf.sub(tf.add(current, tf.mul(direction, rate)), noise);
    current = withMoments(tf.add(noise, projectToBall(moved, radius)), original);
  }
  return current;
}

/** Mean and root mean square (not centred) of each row. */
function moments(x: tf.Tensor): { mean: tf.Tensor; size: tf.Tensor } {
  const axes = x.shape.slice(1).map((_, i) => i + 1);
  return { mean: tf.mean(x, axes, true), size: tf.sqrt(tf.mean(tf.square(x), axes, true)) };
}

/** `mean + (x - mean_x) / size_x * size`; without noise (sigma 0) x may be 0, and stays so. */
function withMoments(x: tf.Tensor, { mean, size }: ReturnType<typeof moments>): tf.Tensor {
  const own = moments(x);
  return tf.add(mean, tf.mul(tf.div(tf.sub(x, own.mean), orOne(own.size)), size));
}
