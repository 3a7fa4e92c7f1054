import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { type CompositeKernel, KERNELS, runComposite } from "./kernels.ts";
import { matMul2d } from "./mat-mul.ts";

const kernel: CompositeKernel = {
  name: KERNELS.linear,
  compose({ x, weight, bias }) {
    const y = matMul2d(x!, weight!, false, true);
    return [bias ? tf.add(y, bias) : y];
  },
  gradient: {
    inputsToSave: ["x", "weight"],
    backward: (dy, [x, weight]) => ({
      x: () => matMul2d(dy, weight!, false, false),
      weight: () => matMul2d(dy, x!, true, false),
      bias: () => tf.sum(dy, 0),
    }),
  },
};

/**
 * A linear layer, `y = x weight^T + bias`, as one 2-D matrix product.
 *
 * @param x `[..., in]` float32
 * @param weight `[out, in]`, as in PyTorch
 * @param bias `[out]`
 * @returns `[..., out]`; the caller disposes of it
 * @throws DmaeError "shape" if the last axis of `x` is not `in`, or the bias not `[out]`
 * @example
 * ```ts
 * const y = linear(tf.tensor2d([[1, 2]]), tf.tensor2d([[3, 4], [5, 6]]), tf.tensor1d([0, 1])); // [[11, 18]]
 * ```
 */
export function linear(x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  const [outputs, inputs] = weight.shape as [number, number];
  if (weight.rank !== 2 || x.rank < 1 || x.shape[x.rank - 1] !== inputs)
    throw new DmaeError(
      "shape",
      `linear: x must be [..., in] and weight [out, in], got [${x.shape}] and [${weight.shape}]`,
    );
  if (bias && (bias.rank !== 1 || bias.shape[0] !== outputs))
    throw new DmaeError("shape", `linear: bias must be [${outputs}], got [${bias.shape}]`);
  return tf.tidy(() => {
    const flat = tf.reshape(x, [-1, inputs]);
    const [y] = runComposite(kernel, bias ? { x: flat, weight, bias } : { x: flat, weight });
    return tf.reshape(y!, [...x.shape.slice(0, -1), outputs]);
  });
}
