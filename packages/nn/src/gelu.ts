import * as tf from "@tensorflow/tfjs-core";
import { type CompositeKernel, KERNELS, runComposite } from "./kernels.ts";

/** The normal distribution function at `x`. */
const cumulative = (x: tf.Tensor) => tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);

const gradKernel: CompositeKernel = {
  name: KERNELS.geluGrad,
  compose({ x, dy }) {
    const density = tf.mul(tf.exp(tf.mul(tf.square(x!), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return [tf.mul(dy!, tf.add(cumulative(x!), tf.mul(x!, density)))];
  },
};

const kernel: CompositeKernel = {
  name: KERNELS.gelu,
  compose: ({ x }) => [tf.mul(x!, cumulative(x!))],
  gradient: {
    inputsToSave: ["x"],
    backward: (dy, [x]) => ({ x: () => runComposite(gradKernel, { x: x!, dy })[0]! }),
  },
};

/**
 * The exact Gaussian error linear unit (arXiv:1606.08415), `x Phi(x)`, with erf and not its tanh
 * approximation. Its gradient is derived by hand.
 *
 * @param x any shape, float32
 * @returns the shape of `x`; the caller disposes of it
 */
export function gelu(x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => runComposite(kernel, { x })[0]!);
}
