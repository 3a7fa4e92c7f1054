import { withoutGradient } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import type { MethodDraws } from "./method.ts";

/** `sigma * noise` for the copies of a batch. */
export function scaledNoise(
  images: tf.Tensor,
  { noise, sigma }: MethodDraws,
  copies: number,
): tf.Tensor {
  const [rows, ...image] = images.shape as [number, ...number[]];
  if (typeof sigma === "number") return tf.mul(noise, sigma);
  const scale = tf.reshape(sigma, [1, rows, ...image.map(() => 1)]);
  return joinCopies(tf.mul(splitCopies(noise, copies), scale));
}

/** `[m * B, …] -> [m, B, …]`. */
export function splitCopies(x: tf.Tensor, copies: number): tf.Tensor {
  const [rows, ...rest] = x.shape as [number, ...number[]];
  return tf.reshape(x, [copies, rows / copies, ...rest]);
}

/** `[m, B, …] -> [m * B, …]`. */
export function joinCopies(x: tf.Tensor): tf.Tensor {
  return tf.reshape(x, [-1, ...x.shape.slice(2)]);
}

/** Every image under the noise of each copy, `[m * B, H, W, C]`; the gradient of an image sums over its copies. */
export function noisyCopies(images: tf.Tensor, noise: tf.Tensor, copies: number): tf.Tensor {
  return joinCopies(tf.add(splitCopies(noise, copies), tf.expandDims(images, 0)));
}

/** `[B, …]` repeated, the whole batch copy after copy; what has the rows of all copies is returned as it is. */
export function repeatRows(x: tf.Tensor, rows: number): tf.Tensor {
  const copies = rows / x.shape[0]!;
  if (copies === 1) return x;
  return tf.tile(x, [copies, ...x.shape.slice(1).map(() => 1)]);
}

/** Mean of the copies' softmax, `[B, K]`: the soft smoothed classifier. */
export function meanSoftmax(logits: tf.Tensor, copies: number): tf.Tensor {
  return tf.mean(splitCopies(tf.softmax(logits), copies), 0);
}

/** The one-hot label of each row: the class with the largest value, the first of equal ones. */
export function oneHotLabels(values: tf.Tensor): tf.Tensor {
  const labels = tf.cast(tf.argMax(values, -1), "int32");
  return tf.cast(tf.oneHot(labels, values.shape.at(-1)!), "float32");
}

/** Probability of the label, `[…]`; of soft targets the label is the largest. */
export function atLabel(probabilities: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(probabilities, oneHotLabels(targets)), -1);
}

/** Cross entropy of probabilities that are positive, `-sum_c targets_c log p_c`, `[…]`. */
export function crossEntropy(probabilities: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return tf.neg(tf.sum(tf.mul(tf.log(probabilities), targets), -1));
}

/** 1 where the largest score is that of the label, `[…]` float32; the first of equal scores counts. */
export function isCorrect(scores: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return withoutGradient(() =>
    tf.cast(tf.equal(tf.argMax(scores, -1), tf.argMax(targets, -1)), "float32"),
  );
}

/** Share of the rows whose largest score is that of the label. */
export function accuracy(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return tf.mean(isCorrect(logits, repeatRows(targets, logits.shape[0]!)));
}
