import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { type CompositeKernel, KERNELS, runComposite } from "./kernels.ts";

const gradKernel: CompositeKernel = {
  name: KERNELS.layerNormGrad,
  compose({ x, gain, mean, inverseStd, dy }) {
    const h = tf.mul(tf.sub(x!, mean!), inverseStd!);
    const g = tf.mul(dy!, gain!);
    const correction = tf.add(tf.mean(g, -1, true), tf.mul(h, tf.mean(tf.mul(g, h), -1, true)));
    const rows = x!.shape.slice(0, -1).map((_, axis) => axis);
    return [
      tf.mul(tf.sub(g, correction), inverseStd!),
      tf.sum(tf.mul(dy!, h), rows),
      tf.sum(dy!, rows),
    ];
  },
};

const kernel: CompositeKernel = {
  name: KERNELS.layerNorm,
  compose({ x, gain, bias }, { epsilon }) {
    const mean = tf.mean(x!, -1, true);
    const centred = tf.sub(x!, mean);
    const inverseStd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon!));
    const y = tf.add(tf.mul(tf.mul(centred, inverseStd), gain!), bias!);
    return [y, mean, inverseStd];
  },
  gradient: {
    inputsToSave: ["x", "gain"],
    outputsToSave: [false, true, true],
    backward(dy, [x, gain, mean, inverseStd]) {
      const inputs = { x: x!, gain: gain!, mean: mean!, inverseStd: inverseStd!, dy };
      const [dx, dgain, dbias] = runComposite(gradKernel, inputs);
      return { x: () => dx!, gain: () => dgain!, bias: () => dbias! };
    },
  },
};

/**
 * Layer normalisation over the last axis (arXiv:1607.06450) with the biased variance:
 * `y = (x - mean) / sqrt(variance + epsilon) * gain + bias`. Its gradient is derived by hand.
 *
 * @param x `[..., D]` float32
 * @param gain `[D]`
 * @param bias `[D]`
 * @param epsilon added to the variance; the official models use 1e-6
 * @returns `[..., D]`; the caller disposes of it
 * @throws DmaeError "shape" if gain or bias are not `[D]`
 */
export function layerNorm(
  x: tf.Tensor,
  gain: tf.Tensor,
  bias: tf.Tensor,
  epsilon = 1e-6,
): tf.Tensor {
  const width = x.shape[x.rank - 1];
  for (const [name, tensor] of Object.entries({ gain, bias }))
    if (tensor.rank !== 1 || tensor.shape[0] !== width)
      throw new DmaeError("shape", `layerNorm: ${name} must be [${width}], got [${tensor.shape}]`);
  return tf.tidy(() => runComposite(kernel, { x, gain, bias }, { epsilon })[0]!);
}
