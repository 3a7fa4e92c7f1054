import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { type CompositeKernel, KERNELS, runComposite } from "./kernels.ts";

/** Every tensor but the vectors as a matrix `[rows, C]`: one form for sums and products, which compiles best. */
const matrix = (x: tf.Tensor) => tf.reshape(x, [-1, x.shape[x.rank - 1]!]);

const gradKernel: CompositeKernel = {
  name: KERNELS.batchNormGrad,
  compose({ x, gain, mean, variance, dy }, { epsilon }) {
    const [rows, d] = [matrix(x!), matrix(dy!)];
    const inverseStd = tf.rsqrt(tf.add(variance!, epsilon!));
    const dbias = tf.sum(d, 0);
    const dgain = tf.sum(tf.mul(d, tf.mul(tf.sub(rows, mean!), inverseStd)), 0);
    const scale = tf.mul(gain!, inverseStd);
    const [count] = rows.shape as [number, number];
    const slope = tf.mul(scale, tf.mul(inverseStd, tf.div(dgain, count)));
    // mean - x, not x - mean again: a compiler then computes it anew instead of keeping it.
    const corrected = tf.mul(tf.sub(d, tf.div(dbias, count)), scale);
    const dx = tf.add(corrected, tf.mul(tf.sub(mean!, rows), slope));
    return [tf.reshape(dx, x!.shape), dgain, dbias];
  },
};

const kernel: CompositeKernel = {
  name: KERNELS.batchNorm,
  compose({ x, gain, bias }, { epsilon }) {
    const rows = matrix(x!);
    const [count] = rows.shape as [number, number];
    const mean = tf.div(tf.sum(rows, 0), count);
    const variance = tf.div(tf.sum(tf.square(tf.sub(rows, mean)), 0), count);
    const scale = tf.mul(tf.rsqrt(tf.add(variance, epsilon!)), gain!);
    // - (mean - x), for the same reason.
    const y = tf.sub(bias!, tf.mul(tf.sub(mean, rows), scale));
    return [tf.reshape(y, x!.shape), mean, variance];
  },
  gradient: {
    inputsToSave: ["x", "gain"],
    outputsToSave: [false, true, true],
    backward(dy, [x, gain, mean, variance], attributes) {
      const inputs = { x: x!, gain: gain!, mean: mean!, variance: variance!, dy };
      const [dx, dgain, dbias] = runComposite(gradKernel, inputs, attributes);
      return { x: () => dx!, gain: () => dgain!, bias: () => dbias! };
    },
  },
};

/** What {@link batchNorm} returns; the caller disposes of it. */
export type BatchNormResult = {
  /** The normalised input, the shape of `x`. */
  y: tf.Tensor;
  /** `[C]`, the mean of the batch; carries no gradient. */
  mean: tf.Tensor;
  /** `[C]`, the biased variance of the batch; carries no gradient. */
  variance: tf.Tensor;
};

/**
 * Batch normalisation (arXiv:1502.03167, Algorithm 1) with the statistics of the batch, as PyTorch's in training:
 * `y = (x - mean) / sqrt(variance + epsilon) * gain + bias`, over every axis but the last, with the biased variance.
 * Its gradient is derived by hand.
 *
 * @param x `[..., C]` float32
 * @param gain `[C]`
 * @param bias `[C]`
 * @param epsilon added to the variance; PyTorch's default is 1e-5
 * @throws DmaeError "shape" if gain or bias are not `[C]`, or if there is one value for each channel, whose variance
 * is 0 whatever it is
 */
export function batchNorm(
  x: tf.Tensor,
  gain: tf.Tensor,
  bias: tf.Tensor,
  epsilon = 1e-5,
): BatchNormResult {
  const channels = x.shape[x.rank - 1];
  for (const [name, tensor] of Object.entries({ gain, bias }))
    if (tensor.rank !== 1 || tensor.shape[0] !== channels)
      throw new DmaeError(
        "shape",
        `batchNorm: ${name} must be [${channels}], got [${tensor.shape}]`,
      );
  if (x.size <= channels!)
    throw new DmaeError(
      "shape",
      `batchNorm: x must hold at least two values for each channel, got [${x.shape}]; give more images`,
    );
  const [y, mean, variance] = runComposite(kernel, { x, gain, bias }, { epsilon });
  return { y: y!, mean: mean!, variance: variance! };
}
