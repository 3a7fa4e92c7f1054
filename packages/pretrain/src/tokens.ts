import * as tf from "@tensorflow/tfjs-core";

/**
 * Rows of `[B, N, D]` by index within each sample. For inputs only: its gradient is TensorFlow's, which not every
 * backend has; {@link restoreTokens} carries its own.
 *
 * @param x `[B, N, D]`
 * @param ids `[B, K]` int32 in `[0, N)`
 * @returns `[B, K, D]`
 */
export function gatherTokens(x: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  const [batch, count, width] = x.shape as [number, number, number];
  const picked = ids.shape[1]!;
  const rows = tf.gather(tf.reshape(x, [batch * count, width]), flatIndices(ids, count));
  return tf.reshape(rows, [batch, picked, width]);
}

/** Indices into `[B * N]` from indices into each `[N]`. */
function flatIndices(ids: tf.Tensor, count: number): tf.Tensor1D {
  const batch = ids.shape[0]!;
  const offsets = tf.tensor2d(
    Int32Array.from({ length: batch }, (_, row) => row * count),
    [batch, 1],
    "int32",
  );
  return tf.reshape(tf.add(ids, offsets), [-1]);
}

/**
 * Puts visible tokens back in their places and the mask token everywhere else.
 *
 * Every visible token goes to exactly one place, so its gradient is a gather by `idsKeep`, and that of the mask token
 * the sum over hidden places: no scatter is needed.
 *
 * @param visible `[B, K, D]`
 * @param maskToken `[1, 1, D]`
 * @param ids `idsKeep` `[B, K]`, `idsRestore` `[B, L]` int32 and `mask` `[B, L]` of `randomMasking`
 * @returns `[B, L, D]`
 */
export function restoreTokens(
  visible: tf.Tensor,
  maskToken: tf.Tensor,
  ids: { readonly idsKeep: tf.Tensor; readonly idsRestore: tf.Tensor; readonly mask: tf.Tensor },
): tf.Tensor {
  const { idsKeep, idsRestore, mask } = ids;
  const [batch, keep, width] = visible.shape as [number, number, number];
  const length = idsRestore.shape[1]!;
  const restore = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [tokens, token] = inputs as [tf.Tensor, tf.Tensor];
    const hidden = tf.add(token, tf.zeros([batch, 1, width])); // [B, 1, D], row K of each sample
    const table = tf.concat([tokens, hidden], 1);
    const value = gatherTokens(table, tf.minimum(idsRestore, tf.scalar(keep, "int32")));
    const gradFunc = (dy: tf.Tensor) => [
      gatherTokens(dy, idsKeep),
      tf.reshape(
        tf.matMul(tf.reshape(mask, [1, batch * length]), tf.reshape(dy, [batch * length, width])),
        [1, 1, width],
      ),
    ];
    return { value, gradFunc };
  });
  return restore(visible, maskToken);
}
