import { DmaeError, uniform } from "@dmae/core";
import type { Params } from "@dmae/nn";
import { linear, type ParameterSpecs, xavierUniform } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";

/**
 * Cuts images into patches, row by row.
 *
 * @param images `[B, H, W, C]`, H and W multiples of `patchSize`
 * @param patchSize side of a patch in pixels
 * @returns `[B, N, patchSize^2 C]`, a patch in the order (row, column, channel); the caller disposes of it
 * @throws DmaeError "shape" if the sides are no multiples of `patchSize`
 */
export function patchify(images: tf.Tensor, patchSize: number): tf.Tensor {
  const [batch, height, width, channels] = images.shape as [number, number, number, number];
  if (images.rank !== 4 || height % patchSize !== 0 || width % patchSize !== 0)
    throw new DmaeError(
      "shape",
      `patchify: images must be [B, H, W, C] with sides that are multiples of ${patchSize}, got [${images.shape}]`,
    );
  const [rows, columns, line] = [height / patchSize, width / patchSize, patchSize * channels];
  return tf.tidy(() => {
    const lines = tf.reshape(images, [batch * rows, patchSize, columns, line]); // rank 4, for webgpu
    const patches = tf.transpose(lines, [0, 2, 1, 3]); // [B * rows, columns, patchSize, line]
    return tf.reshape(patches, [batch, rows * columns, patchSize * line]);
  });
}

/**
 * Puts patches together again, the inverse of `patchify`.
 *
 * @param patches `[B, N, patchSize^2 C]`
 * @param patchSize side of a patch in pixels
 * @param grid rows and columns of patches; a square by default
 * @returns `[B, H, W, C]`; the caller disposes of it
 * @throws DmaeError "shape" if N is not rows x columns or the last axis not patchSize^2 C
 */
export function unpatchify(
  patches: tf.Tensor,
  patchSize: number,
  grid?: readonly [rows: number, columns: number],
): tf.Tensor {
  const [batch, count, length] = patches.shape as [number, number, number];
  const [rows, columns] = grid ?? [Math.sqrt(count), Math.sqrt(count)];
  const line = length / patchSize;
  const whole = [rows, columns, line / patchSize].every(Number.isInteger);
  if (patches.rank !== 3 || !whole || rows * columns !== count)
    throw new DmaeError(
      "shape",
      `unpatchify: patches must be [B, N, ${patchSize}^2 C] with N = rows x columns, got [${patches.shape}]`,
    );
  return tf.tidy(() => {
    const lines = tf.reshape(patches, [batch * rows, columns, patchSize, line]);
    const images = tf.transpose(lines, [0, 2, 1, 3]);
    return tf.reshape(images, [batch, rows * patchSize, columns * patchSize, line / patchSize]);
  });
}

/**
 * Projects patches to tokens: a convolution whose kernel and stride are the size of a patch, as one matrix product.
 *
 * @param params `patch_embed.proj.weight` `[D, C, patch, patch]` and `patch_embed.proj.bias` `[D]`
 * @param patches `[B, K, patch^2 C]`, of normalised images, as {@link patchify} cuts them
 * @returns `[B, K, D]`; the caller disposes of it
 */
export function projectPatches(params: Params, patches: tf.Tensor): tf.Tensor {
  const weight = params["patch_embed.proj.weight"]!;
  return tf.tidy(() => {
    const channelsLast = tf.transpose(weight, [0, 2, 3, 1]); // the order of patchify
    const matrix = tf.reshape(channelsLast, [weight.shape[0]!, -1]);
    return linear(patches, matrix, params["patch_embed.proj.bias"]!);
  });
}

/**
 * Cuts images into patches and projects them, see {@link projectPatches}.
 *
 * @param images `[B, H, W, C]`, already normalised
 * @param visible `[B, K]` int32, the patches to project; default all N in order
 * @returns `[B, N, D]` or `[B, K, D]`; the caller disposes of it
 */
export function patchEmbed(params: Params, images: tf.Tensor, visible?: tf.Tensor): tf.Tensor {
  const patchSize = params["patch_embed.proj.weight"]!.shape[2]!;
  return tf.tidy(() => {
    const all = patchify(images, patchSize);
    return projectPatches(params, visible ? gatherPatches(all, visible) : all);
  });
}

/** Patches `[B, K, P]` by index within each image: rows of one table, as not every backend gathers by batch. */
function gatherPatches(patches: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  const [batch, count, length] = patches.shape as [number, number, number];
  const firsts = Int32Array.from({ length: batch }, (_, image) => image * count);
  const flat = tf.reshape(tf.add(ids, tf.tensor2d(firsts, [batch, 1], "int32")), [-1]);
  const rows = tf.gather(tf.reshape(patches, [batch * count, length]), flat);
  return tf.reshape(rows, [batch, ids.shape[1]!, length]);
}

/** Shape of a patch projection. */
export interface PatchEmbedShape {
  /** Channels of a token, D. */
  readonly width: number;
  /** Side of a patch in pixels. */
  readonly patchSize: number;
  /** Channels of an image. */
  readonly channels: number;
}

/**
 * Parameters of {@link projectPatches}: weights Glorot-uniform as a linear layer, bias as PyTorch initialises convolutions,
 * U(-1, 1) / sqrt(fanIn) (the official code leaves it so).
 */
export function patchEmbedParameters(shape: PatchEmbedShape): ParameterSpecs {
  const { width, patchSize, channels } = shape;
  const limit = 1 / Math.sqrt(patchSize * patchSize * channels);
  return {
    "patch_embed.proj.weight": {
      shape: [width, channels, patchSize, patchSize],
      initialize: xavierUniform,
    },
    "patch_embed.proj.bias": {
      shape: [width],
      initialize: (key, own) => ({
        dtype: "float32",
        shape: own,
        data: uniform(key, width, { low: -limit, high: limit }),
      }),
    },
  };
}
