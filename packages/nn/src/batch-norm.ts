import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { type CompositeKernel, KERNELS, runComposite } from "./kernels.ts";

const rowsOf = (x: tf.Tensor) => x.shape.slice(0, -1).map((_, axis) => axis);

const gradKernel: CompositeKernel = {
  name: KERNELS.batchNormGrad,
  compose({ x, gain, mean, variance, dy }, { epsilon }) {
    const rows = rowsOf(x!);
    const count = x!.size / gain!.size;
    const inverseStd = tf.rsqrt(tf.add(variance!, epsilon!));
    const h = tf.mul(tf.sub(x!, mean!), inverseStd);
    const dbias = tf.sum(dy!, rows);
    const dgain = tf.sum(tf.mul(dy!, h), rows);
    const correction = tf.add(tf.div(dbias, count), tf.mul(h, tf.div(dgain, count)));
    return [tf.mul(tf.sub(dy!, correction), tf.mul(gain!, inverseStd)), dgain, dbias];
  },
};

const kernel: CompositeKernel = {
  name: KERNELS.batchNorm,
  compose({ x, gain, bias }, { epsilon }) {
    const rows = rowsOf(x!);
    const mean = tf.mean(x!, rows);
    const centred = tf.sub(x!, mean);
    const variance = tf.mean(tf.square(centred), rows);
    const scale = tf.mul(tf.rsqrt(tf.add(variance, epsilon!)), gain!);
    return [tf.add(tf.mul(centred, scale), bias!), mean, variance];
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
