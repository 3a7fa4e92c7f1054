import * as tf from "@tensorflow/tfjs-core";

/** `[B, 1 + N, D]`, class token first, to `[B, D]`; the caller disposes of it. */
export type Readout = (tokens: tf.Tensor) => tf.Tensor;

/** The mean of the patches: one product with a constant row, 0 for the class token, 1 / N for each patch. */
export const meanOfPatches: Readout = (tokens) =>
  tf.tidy(() => {
    const [batch, count, width] = tokens.shape as [number, number, number];
    const weights = new Float32Array(count).fill(1 / (count - 1), 1);
    const row = tf.tensor3d(weights, [1, 1, count]);
    return tf.reshape(tf.matMul(row, tokens), [batch, width]);
  });

/** The class token. */
export const classToken: Readout = (tokens) =>
  tf.tidy(() => {
    const [batch, , width] = tokens.shape as [number, number, number];
    return tf.reshape(tf.slice(tokens, [0, 0, 0], [batch, 1, width]), [batch, width]);
  });
