import { withoutGradient } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import {
  checkSettings,
  nonNegative,
  positive,
  positiveInteger,
  requireSettings,
  wholeNumber,
} from "./check-settings.ts";
import {
  crossEntropy,
  isCorrect,
  meanSoftmax,
  noisyCopies,
  oneHotLabels,
  scaledNoise,
} from "./copies.ts";
import { defineMethod } from "./define-method.ts";
import { inverseNormal } from "./inverse-normal.ts";
import { type MethodDraws, scheduled, type TrainingMethod } from "./method.ts";

/** Settings of {@link macer}. */
export interface MacerSettings {
  /** Noisy copies of each image, k in the paper. */
  readonly copies: number;
  /** Weight of the robustness term, `--lbd`. */
  readonly lambda: number;
  /** Inverse temperature of its softmax. */
  readonly beta: number;
  /** Largest gap that is still raised, gamma in the paper. */
  readonly margin: number;
  /** Last epoch without the robustness term, counted from 0 (`--deferred`: the step of the schedule); null for none. */
  readonly deferredUntilEpoch?: number | null | undefined;
}

/**
 * MACER: maximises the certified radius,
 *
 *   `mean_i [-log(mean_j softmax(z_ij)_{y_i} + 1e-10) + lambda sigma / 2 max-margin_i]`,
 *   `max-margin_i = margin - (icdf(q_1) - icdf(q_2))`,  `q = mean_j softmax(beta z_ij)`,
 *
 * the second term for images whose largest q is that of the label and whose gap is finite and at most `margin` (Zhai et al.
 * 2020, arXiv:2001.02378; `third_party/macer.py`). Where no image qualifies it is 0.
 *
 * @returns a method; its log has the classification term per image, and the accuracy of the mean prediction (the
 *   official column is a constant 0)
 * @throws DmaeError "argument" for a setting outside its range
 * @example
 * ```ts
 * const method = macer({ copies: 16, lambda: 16, beta: 16, margin: 8, deferredUntilEpoch: 30 });
 * ```
 */
export function macer(settings: MacerSettings): TrainingMethod {
  requireSettings("macer", settings);
  const { copies, lambda, beta, margin, deferredUntilEpoch = null } = settings;
  checkSettings("macer", settings, {
    copies: positiveInteger,
    lambda: nonNegative,
    beta: positive,
    margin: positive,
    deferredUntilEpoch: deferredUntilEpoch === null ? null : wholeNumber,
  });
  return defineMethod({
    settings: { name: "macer", ...settings, deferredUntilEpoch },
    copies,
    schedule: (epoch) => ({
      lambda: deferredUntilEpoch !== null && epoch <= deferredUntilEpoch ? 0 : lambda,
    }),
    loss(apply, params, batch, draws) {
      const { images, targets } = batch;
      const inputs = noisyCopies(images, scaledNoise(images, draws, copies), copies);
      const { logits, updates = {} } = apply(params, inputs, { training: true });
      const mean = meanSoftmax(logits, copies);
      const trainLoss = tf.mean(crossEntropy(tf.add(mean, 1e-10), targets));
      const gaps = hinge(tf.mul(logits, beta), targets, { copies, margin });
      const robustness = tf.mean(tf.mul(gaps, halfSigma(draws)));
      const weighted = tf.mul(robustness, scheduled(batch, "lambda", lambda));
      return {
        loss: tf.add(trainLoss, weighted),
        metrics: { trainLoss, robustness, accuracy: tf.mean(isCorrect(mean, targets)) },
        updates,
      };
    },
  });
}

const halfSigma = ({ sigma }: MethodDraws) =>
  typeof sigma === "number" ? sigma / 2 : tf.div(sigma, 2);

/** `icdf(q_2) - icdf(q_1) + margin` for the images that qualify, 0 for the others: `[B]`. */
function hinge(
  scaledLogits: tf.Tensor,
  targets: tf.Tensor,
  { copies, margin }: Pick<MacerSettings, "copies" | "margin">,
): tf.Tensor {
  const q = meanSoftmax(scaledLogits, copies); // [B, K]
  const choose = (scores: tf.Tensor) => withoutGradient(() => oneHotLabels(scores));
  const first = choose(q);
  const second = choose(tf.sub(q, tf.mul(first, 2))); // the largest of the others: q lies in [0, 1]
  const top = inverseNormal(tf.sum(tf.mul(q, first), 1));
  const runnerUp = inverseNormal(tf.sum(tf.mul(q, second), 1));
  const gap = tf.sub(runnerUp.value, top.value);
  const inMargin = withoutGradient(() => tf.cast(tf.lessEqual(tf.abs(gap), margin), "float32"));
  const finite = tf.mul(top.finite, runnerUp.finite);
  const kept = tf.mul(tf.mul(isCorrect(q, targets), finite), inMargin);
  return tf.mul(tf.add(gap, margin), kept);
}
