import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";

const smallestNormal = 2 ** -126;

/**
 * Kullback-Leibler divergence of softmax(logits) from a target distribution,
 * `sum_c t_c (log t_c - logSoftmax(logits)_c)` for each row, in log space. A target of 0 contributes 0
 * to the value and to the gradient, where PyTorch >= 1.13 gives NaN.
 *
 * @param targets `[B, C]` float32 probabilities; they receive a gradient too
 * @param logits `[B, C]` float32
 * @returns `[B]`; the caller disposes of it
 * @throws DmaeError "shape" if the shapes differ
 */
export function klDivergence(targets: tf.Tensor, logits: tf.Tensor): tf.Tensor {
  if (logits.rank !== 2 || `${logits.shape}` !== `${targets.shape}`)
    throw new DmaeError(
      "shape",
      `klDivergence: targets and logits must both be [B, C], got [${targets.shape}] and [${logits.shape}]`,
    );
  return tf.tidy(() => tf.sum(weightedLogRatio(targets, tf.logSoftmax(logits)), 1));
}

/** `t (log t - logits)`, 0 where t is 0; d/dt = log t + 1 - logits there else 0, d/dlogits = -t. */
const weightedLogRatio = (targets: tf.Tensor, logProbabilities: tf.Tensor): tf.Tensor =>
  tf.customGrad((...args: unknown[]) => {
    const [t, logs, save] = args as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    save([t, logs]);
    const ratio = (a: tf.Tensor, b: tf.Tensor) => tf.sub(tf.log(tf.maximum(a, smallestNormal)), b);
    return {
      value: tf.mul(t, ratio(t, logs)),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [t, logs] = saved as [tf.Tensor, tf.Tensor];
        const positive = tf.cast(tf.greater(t, 0), "float32");
        return [tf.mul(tf.mul(dy, positive), tf.add(ratio(t, logs), 1)), tf.neg(tf.mul(dy, t))];
      },
    };
  })(targets, logProbabilities);

/**
 * Shannon entropy in nats, `-sum_c p_c log max(p_c, 1e-20)` for each row; the floor is the official
 * code's.
 *
 * @param probabilities `[B, C]` float32
 * @returns `[B]`; the caller disposes of it
 */
export function entropy(probabilities: tf.Tensor): tf.Tensor {
  return tf.tidy(() =>
    tf.neg(tf.sum(tf.mul(probabilities, tf.log(tf.maximum(probabilities, 1e-20))), -1)),
  );
}
