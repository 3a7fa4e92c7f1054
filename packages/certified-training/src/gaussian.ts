import { softmaxCrossEntropy } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { checkSettings, positiveInteger, requireSettings } from "./check-settings.ts";
import { accuracy, noisyCopies, repeatRows, scaledNoise } from "./copies.ts";
import { defineMethod } from "./define-method.ts";
import type { TrainingMethod } from "./method.ts";

/** Settings of {@link gaussian}. */
export interface GaussianSettings {
  /** Noisy copies of each image, m; default 1, as published. */
  readonly copies?: number | undefined;
}

/**
 * Gaussian augmentation: cross entropy under noise,
 *
 *   `mean_{i,j} CE(f(x_i + n_ij), y_i)`,   n_ij ~ N(0, sigma^2 I), j = 1 … m
 *
 * (Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918, section 3.3; `train_cohen.py`).
 *
 * @returns a method; its log has this loss and the accuracy on the noisy copies
 * @throws DmaeError "argument" for a setting outside its range
 * @example
 * ```ts
 * const { loss } = gaussian().loss(model.apply, params, { images, targets }, { noise, sigma: 0.25 });
 * ```
 */
export function gaussian(settings: GaussianSettings = {}): TrainingMethod {
  requireSettings("gaussian", settings);
  const { copies = 1 } = settings;
  checkSettings("gaussian", settings, { copies: positiveInteger }, { copies });
  return defineMethod({
    settings: { name: "gaussian", ...settings },
    copies,
    mixable: true,
    loss(apply, params, { images, targets }, draws) {
      const noise = scaledNoise(images, draws, copies);
      const { logits, updates = {} } = apply(params, noisyCopies(images, noise, copies), {
        training: true,
      });
      const labels = repeatRows(targets, logits.shape[0]!);
      const loss = tf.mean(softmaxCrossEntropy(logits, labels));
      return { loss, metrics: { trainLoss: loss, accuracy: accuracy(logits, labels) }, updates };
    },
  });
}
