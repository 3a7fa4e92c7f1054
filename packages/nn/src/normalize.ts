import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";

/**
 * Channel normalisation, `(x - mean) / std`.
 *
 * @param x `[..., C]` float32
 * @param mean one value for each channel, in the units of `x`
 * @param std one value for each channel, positive
 * @returns the shape of `x`; the caller disposes of it
 * @throws DmaeError "argument" if the lengths are not C or a std is not positive
 */
export function normalize(
  x: tf.Tensor,
  mean: readonly number[],
  std: readonly number[],
): tf.Tensor {
  const channels = x.shape[x.rank - 1];
  if (mean.length !== channels || std.length !== channels || !std.every((s) => s > 0))
    throw new DmaeError(
      "argument",
      `normalize: mean and std must hold ${channels} values, std positive, got [${mean}] and [${std}]`,
    );
  return tf.tidy(() => tf.div(tf.sub(x, tf.tensor1d([...mean])), tf.tensor1d([...std])));
}
