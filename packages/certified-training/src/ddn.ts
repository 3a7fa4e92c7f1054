import { valueAndGradients } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { l2Norms, orOne, projectToBall } from "./ball.ts";
import {
  type AttackProblem,
  attackedLogits,
  attackLoss,
  unitDirection,
} from "./classification-attack.ts";
import { splitCopies } from "./copies.ts";

/** How {@link ddn} walks. */
export interface DdnSettings {
  /** Norm that the search begins with, and the largest norm of the result. */
  readonly radius: tf.Tensor | number;
  /** Steps. */
  readonly steps: number;
  /** What replaces a zero gradient in a step, `[B, H, W, C]`. */
  readonly fallback: (step: number) => tf.Tensor;
  /** Factor by which the norm shrinks after a success and grows after a failure: `1 -+ gamma`. */
  readonly gamma: number;
}

/** Levels of an 8-bit image. */
const LEVELS = 255;
const toLevels = (x: tf.Tensor) => tf.div(tf.round(tf.mul(x, LEVELS)), LEVELS);

/** The learning rate of step `step`: a cosine from 1 to 0.01 that is advanced before it is used. */
const rateOf = (step: number, steps: number) =>
  0.01 + (0.99 * (1 + Math.cos((Math.PI * (step + 1)) / steps))) / 2;

/**
 * Decoupled direction and norm (Rony et al. 2019, arXiv:1811.09600) against the smoothed classifier, as
 * `third_party/smoothadv.py` does it: the norm of delta shrinks where the vote of the copies is wrong and grows where it
 * is right; images are rounded to 8 bits in every step. The smallest delta that was adversarial is projected to `radius`
 * and rounded itself, so it may lie a little outside; an image whose vote was never wrong keeps delta = 0.
 *
 * @returns adversarial images `[B, H, W, C]`, without noise
 */
export function ddn(problem: AttackProblem, settings: DdnSettings): tf.Tensor {
  const { radius, steps, gamma } = settings;
  const { images } = problem;
  const largest = l2Norms(tf.maximum(images, tf.sub(1, images))); // [B, 1, 1, 1]
  let delta: tf.Tensor = tf.zerosLike(images);
  let norm = tf.mul(tf.onesLike(largest), radius);
  let best = { delta, norm: largest };
  for (let step = 0; step < steps; step++) {
    const { gradient, isAdversarial } = evaluate(problem, delta);
    best = smallest(best, delta, isAdversarial);
    const direction = unitDirection(gradient, tf.neg(settings.fallback(step)));
    const moved = tf.add(delta, tf.mul(direction, rateOf(step, steps)));
    const factor = tf.sub(1 + gamma, tf.mul(isAdversarial, 2 * gamma)); // 1 - gamma where adversarial
    norm = tf.minimum(tf.mul(norm, factor), largest);
    const scaled = tf.mul(moved, tf.div(norm, orOne(l2Norms(moved))));
    delta = tf.sub(tf.clipByValue(toLevels(tf.add(scaled, images)), 0, 1), images);
  }
  return tf.add(images, toLevels(projectToBall(best.delta, radius)));
}

/** The gradient at delta, and where the majority of the copies is wrong (1 or 0, `[B, 1, 1, 1]`). */
function evaluate(problem: AttackProblem, delta: tf.Tensor) {
  const { gradients, aux } = valueAndGradients(
    (x) => {
      const logits = attackedLogits(problem, x.delta!);
      return { loss: attackLoss(problem, logits), aux: { logits } };
    },
    { delta },
  );
  return { gradient: gradients.delta!, isAdversarial: wrongVotes(problem, aux.logits!) };
}

/** Majority vote of the copies against the label; of equally frequent classes the first counts. */
function wrongVotes({ copies, targets, images }: AttackProblem, logits: tf.Tensor): tf.Tensor {
  const classes = tf.argMax(splitCopies(logits, copies), 2); // [m, B]
  const votes = tf.sum(tf.oneHot(tf.cast(classes, "int32"), targets.shape[1]!), 0);
  const wrong = tf.notEqual(tf.argMax(votes, 1), tf.argMax(targets, 1));
  return tf.reshape(tf.cast(wrong, "float32"), [-1, ...images.shape.slice(1).map(() => 1)]);
}

/** `delta` where it is adversarial and shorter than the best one so far. */
function smallest(
  best: { delta: tf.Tensor; norm: tf.Tensor },
  delta: tf.Tensor,
  isAdversarial: tf.Tensor,
) {
  const norm = l2Norms(delta);
  const better = tf.mul(isAdversarial, tf.cast(tf.less(norm, best.norm), "float32"));
  const choose = (a: tf.Tensor, b: tf.Tensor) =>
    tf.add(tf.mul(a, better), tf.mul(b, tf.sub(1, better)));
  return { delta: choose(delta, best.delta), norm: choose(norm, best.norm) };
}
