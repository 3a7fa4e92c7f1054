import "#gradients";
import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";

/**
 * Cross entropy with soft targets, `-sum_c targets_c logSoftmax(logits)_c` for each row. The gradient
 * with respect to the targets is `-logSoftmax(logits)` (tf.losses.softmaxCrossEntropy has it wrong).
 *
 * @param logits `[B, C]` float32
 * @param targets `[B, C]` float32 probabilities; one-hot for hard labels
 * @returns `[B]`; the caller disposes of it
 * @throws DmaeError "shape" if the shapes differ
 */
export function softmaxCrossEntropy(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  if (logits.rank !== 2 || `${logits.shape}` !== `${targets.shape}`)
    throw new DmaeError(
      "shape",
      `softmaxCrossEntropy: logits and targets must both be [B, C], got [${logits.shape}] and [${targets.shape}]`,
    );
  return tf.tidy(() => tf.neg(tf.sum(tf.mul(targets, tf.logSoftmax(logits)), 1)));
}
