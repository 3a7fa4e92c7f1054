import { softmaxCrossEntropy } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { checkSettings, nonNegative, requireSettings } from "./check-settings.ts";
import { accuracy, scaledNoise } from "./copies.ts";
import { defineMethod } from "./define-method.ts";
import type { TrainingMethod } from "./method.ts";

/** Settings of {@link stability}. */
export interface StabilitySettings {
  /** Weight of the stability term, `--lbd`. */
  readonly lambda: number;
}

/**
 * Stability training: cross entropy on the clean images, plus the cross entropy of the noisy predictions with the
 * clean ones,
 *
 *   `mean_i [CE(f(x_i), y_i) - lambda sum_c softmax(f(x_i))_c log softmax(f(x_i + n_i))_c]`
 *
 * (Li et al. 2019, arXiv:1809.03113; `train_stab.py`). As in that code the gradient flows into both terms of the sum,
 * and the model is run twice, first on the clean images.
 *
 * @returns a method; its log has the first term, and the accuracy on the noisy images
 * @throws DmaeError "argument" for a setting outside its range
 * @example
 * ```ts
 * const method = stability({ lambda: 2 });
 * ```
 */
export function stability(settings: StabilitySettings): TrainingMethod {
  requireSettings("stability", settings);
  checkSettings("stability", settings, { lambda: nonNegative });
  const { lambda } = settings;
  return defineMethod({
    settings: { name: "stability", lambda },
    passes: 2,
    loss(apply, params, { images, targets }, draws) {
      const clean = apply(params, images, { training: true });
      const noisy = apply(
        { ...params, ...clean.updates },
        tf.add(images, scaledNoise(images, draws, 1)),
        { training: true },
      );
      const trainLoss = tf.mean(softmaxCrossEntropy(clean.logits, targets));
      const stabilityLoss = tf.mean(softmaxCrossEntropy(noisy.logits, tf.softmax(clean.logits)));
      return {
        loss: tf.add(trainLoss, tf.mul(stabilityLoss, lambda)),
        metrics: { trainLoss, stability: stabilityLoss, accuracy: accuracy(noisy.logits, targets) },
        updates: { ...clean.updates, ...noisy.updates },
      };
    },
  });
}
