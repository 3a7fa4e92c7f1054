import * as tf from "@tensorflow/tfjs-core";

type Take = (tokens: tf.Tensor) => tf.Tensor;

/** What is read of the last block's tokens, taken where the rest of the block need not see the others. */
export interface Readout {
  /** Taken of the block's input and of what its attention returns: only attention reads other tokens. */
  readonly behindAttention: Take;
  /** Taken in front of the block's last layer, which is linear and acts on a mean as on a token. */
  readonly beforeLastLayer: Take;
}

const all: Take = (tokens) => tokens;

/** Every token, `[B, N, D]`. */
export const everyToken: Readout = { behindAttention: all, beforeLastLayer: all };

/** The class token, `[B, D]`. */
export const classToken: Readout = {
  behindAttention: (tokens) => {
    const [batch, , width] = tokens.shape as [number, number, number];
    return tf.reshape(tf.slice(tokens, [0, 0, 0], [batch, 1, width]), [batch, width]);
  },
  beforeLastLayer: all,
};

/** The mean of the patches, `[B, D]`: one product with a constant row, 0 for the class token, 1 / N for each patch. */
export const meanOfPatches: Readout = {
  behindAttention: all,
  beforeLastLayer: (tokens) => {
    const [batch, count, width] = tokens.shape as [number, number, number];
    const weights = new Float32Array(count).fill(1 / (count - 1), 1);
    const row = tf.tensor3d(weights, [1, 1, count]);
    return tf.reshape(tf.matMul(row, tokens), [batch, width]);
  },
};
