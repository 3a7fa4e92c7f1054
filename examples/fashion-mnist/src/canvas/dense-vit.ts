import { foldIn, type HostTensor, type Key } from "@dmae/core";
import type { Params } from "@dmae/nn";
import { layerNorm, linear, normalize, xavierUniform, zeros } from "@dmae/nn/layers";
import { createViT } from "@dmae/vit";
import { block, patchify, unpatchify } from "@dmae/vit/parts";
import * as tf from "@tensorflow/tfjs-core";
import { background, side } from "./canvases.ts";

/** 64 patches of 7x7, 0.8 M parameters. */
const config = {
  imageSize: side,
  patchSize: 7,
  channels: 1,
  width: 128,
  depth: 4,
  heads: 4,
  mean: [0.2],
  std: [0.33],
} as const;
const { patchSize, width, depth, heads } = config;
const epsilon = 1e-6;
/** Classes of a pixel. */
const classes = background + 1;

const encoder = createViT(config, { numClasses: 0, globalPool: false });

/** What the model says about each image. */
export interface Dense {
  /** Class scores of every pixel, `[B, 56, 56, 11]`. */
  readonly segments: tf.Tensor;
  /** A score for each item, above 0 where it is on the canvas, `[B, 10]`. */
  readonly present: tf.Tensor;
}

/** The encoder's parameters under the official names, and a linear layer for each of the two answers. */
export function initDense(key: Key): Record<string, HostTensor> {
  const dense = (name: string, out: number) => ({
    [`${name}.weight`]: xavierUniform(foldIn(key, name), [out, width]),
    [`${name}.bias`]: zeros([out]),
  });
  return {
    ...encoder.initHost(key),
    ...dense("segments", patchSize * patchSize * classes),
    ...dense("present", background),
  };
}

/**
 * A ViT that answers for every pixel, from the tokens of the patches, and for the whole image, from the class token.
 *
 * @param images `[B, 56, 56, 1]` in [0, 1], noise included
 */
export function applyDense(params: Params, images: tf.Tensor): Dense {
  const p = (name: string) => params[name]!;
  const dense = (x: tf.Tensor, name: string) => linear(x, p(`${name}.weight`), p(`${name}.bias`));
  const batch = images.shape[0]!;
  const weight = tf.transpose(p("patch_embed.proj.weight"), [0, 2, 3, 1]);
  const patches = patchify(normalize(images, config.mean, config.std), patchSize);
  const embedded = linear(patches, tf.reshape(weight, [width, -1]), p("patch_embed.proj.bias"));
  const first = tf.add(p("cls_token"), tf.zeros([batch, 1, width]));
  let tokens = tf.add(tf.concat([first, embedded], 1), p("pos_embed"));
  for (let i = 0; i < depth; i++) tokens = block(params, `blocks.${i}`, tokens, { heads, epsilon });
  const normed = layerNorm(tokens, p("norm.weight"), p("norm.bias"), epsilon);
  const length = embedded.shape[1]!;
  return {
    segments: unpatchify(
      dense(tf.slice(normed, [0, 1, 0], [batch, length, width]), "segments"),
      patchSize,
    ),
    present: dense(
      tf.reshape(tf.slice(normed, [0, 0, 0], [batch, 1, width]), [batch, width]),
      "present",
    ),
  };
}
