import type { TrainingMethod } from "@dmae/certified-training";
import { DmaeError } from "@dmae/core";
import { softmaxCrossEntropy } from "@dmae/nn";
import type { ViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";

/** Side of the images in pixels. */
const side = 28;

/** What both methods are: cross entropy on one column ablation of each image, at a place drawn uniformly. */
function method(
  name: string,
  settings: object,
  loss: (...args: Parameters<TrainingMethod["loss"]>) => { logits: tf.Tensor; targets: tf.Tensor },
): TrainingMethod {
  return {
    settings: { name, ...settings },
    copies: 1,
    passes: 1,
    draws: ["uniform"],
    needsSoftLabels: false,
    mixable: false,
    schedule: () => ({}),
    loss: (...args) =>
      tf.tidy(() => {
        const { logits, targets } = loss(...args);
        const mean = tf.mean(softmaxCrossEntropy(logits, targets));
        const hits = tf.equal(tf.argMax(logits, 1), tf.argMax(targets, 1));
        const accuracy = tf.mean(tf.cast(hits, "float32"));
        return { loss: mean, metrics: { trainLoss: mean, accuracy }, updates: {} };
      }),
  };
}

/** `[B, 1, side, 1]`: 1 where a band of `columns` from `start` (`[B]`, wrapping) keeps a column, else 0. */
function keptColumns(start: tf.Tensor, columns: number): tf.Tensor {
  const rows = start.shape[0]!;
  const distance = tf.sub(tf.reshape(tf.range(0, side), [1, side]), tf.reshape(start, [rows, 1]));
  const wrapped = tf.add(distance, tf.mul(tf.cast(tf.less(distance, 0), "float32"), side));
  return tf.reshape(tf.cast(tf.less(wrapped, columns), "float32"), [rows, 1, side, 1]);
}

/** Images where they are kept, 0 elsewhere, with what is kept as a second channel: what a convolutional net sees. */
export function ablatedImages(columns: number): TrainingMethod {
  return method("ablatedImages", { columns }, (apply, params, { images, targets }, { uniform }) => {
    const start = tf.floor(tf.mul(uniform!, side));
    const kept = tf.mul(tf.onesLike(images), keptColumns(start, columns));
    const copies = tf.concat([tf.mul(images, kept), kept], 3);
    return { logits: apply(params, copies, { training: true }).logits, targets };
  });
}

/**
 * The same for a ViT that gets the visible patches alone. A band lies over one column of patches or over two; the batch
 * is divided into these cases in the proportion in which they occur, so that each has a fixed number of tokens.
 */
export function ablatedTokens(vit: ViT, columns: number): TrainingMethod {
  const { patchSize } = vit.config;
  const within = patchSize - columns + 1; // offsets in a patch from which a band stays inside it
  if (within < 1)
    throw new DmaeError(
      "argument",
      `ablatedTokens: a band of ${columns} columns must fit into a patch of ${patchSize}`,
    );
  return method("ablatedTokens", { columns }, (_, params, { images, targets }, { uniform }) => {
    const rows = images.shape[0]!;
    const inside = Math.round((rows * within) / patchSize);
    const logits = [
      { from: 0, count: inside, first: 0, offsets: within, wide: 1 },
      { from: inside, count: rows - inside, first: within, offsets: columns - 1, wide: 2 },
    ]
      .filter(({ count }) => count > 0)
      .map(({ from, count, first, offsets, wide }) => {
        const draw = tf.slice(uniform!, [from], [count]);
        const grid = side / patchSize;
        const place = tf.floor(tf.mul(draw, grid * offsets));
        const column = tf.floor(tf.div(place, offsets));
        const offset = tf.add(tf.sub(place, tf.mul(column, offsets)), first);
        const kept = keptColumns(tf.add(tf.mul(column, patchSize), offset), columns);
        const shown = tf.mul(tf.slice(images, [from, 0, 0, 0], [count, -1, -1, -1]), kept);
        return vit.logits(params, shown, { visible: visiblePatches(column, grid, wide) });
      });
    return { logits: logits.length > 1 ? tf.concat(logits, 0) : logits[0]!, targets };
  });
}

/** `[B, grid * wide]` int32: the patches of `wide` columns of patches from `column` (`[B]`) on, wrapping. */
function visiblePatches(column: tf.Tensor, grid: number, wide: number): tf.Tensor {
  const rows = column.shape[0]!;
  const next = tf.add(tf.reshape(column, [rows, 1]), tf.reshape(tf.range(0, wide), [1, wide]));
  const wrapped = tf.sub(next, tf.mul(tf.cast(tf.greaterEqual(next, grid), "float32"), grid));
  const starts = tf.reshape(tf.mul(tf.range(0, grid), grid), [1, grid, 1]);
  const ids = tf.add(starts, tf.reshape(wrapped, [rows, 1, wide]));
  return tf.cast(tf.reshape(ids, [rows, grid * wide]), "int32");
}
