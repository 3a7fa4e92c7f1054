import * as tf from "@tensorflow/tfjs-core";
import { projectToBall } from "./ball.ts";
import {
  type AttackProblem,
  attackGradient,
  gradientFreeDirection,
  unitDirection,
} from "./classification-attack.ts";

/** How {@link pgd} walks. */
export interface PgdSettings {
  /** Largest l2 norm of the perturbation. */
  readonly radius: tf.Tensor | number;
  /** Steps, each of length `2 radius / steps`. */
  readonly steps: number;
  /** What replaces a zero gradient in a step, `[B, H, W, C]`. */
  readonly fallback: (step: number) => tf.Tensor;
  /** Estimates the direction from the noise instead of differentiating. */
  readonly gradientFree: boolean;
}

/**
 * Projected gradient ascent against the smoothed classifier from `delta = 0`:
 *
 *   `delta <- Proj_radius(clamp(x + delta + 2 radius / steps * g / |g|, 0, 1) - x)`,
 *
 * clamped first, projected last (Salman et al. 2019, arXiv:1906.04584; `third_party/smoothadv.py`).
 *
 * @returns adversarial images `[B, H, W, C]`, without noise
 */
export function pgd(problem: AttackProblem, settings: PgdSettings): tf.Tensor {
  const { images } = problem;
  const { radius, steps, gradientFree } = settings;
  const rate = tf.div(tf.mul(radius, 2), steps);
  let delta: tf.Tensor = tf.zerosLike(images);
  for (let step = 0; step < steps; step++) {
    const fallback = settings.fallback(step);
    const direction = gradientFree
      ? unitDirection(gradientFreeDirection(problem, delta), fallback)
      : unitDirection(attackGradient(problem, delta), tf.neg(fallback));
    const moved = tf.add(tf.add(delta, tf.mul(direction, rate)), images);
    delta = projectToBall(tf.sub(tf.clipByValue(moved, 0, 1), images), radius);
  }
  return tf.add(images, delta);
}
