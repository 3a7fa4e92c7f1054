import {
  DmaeError,
  foldIn,
  type Given,
  type HostTensor,
  type HostTensors,
  type Key,
} from "@dmae/core";
import { type Params, type Tensors, toTensors } from "@dmae/nn";
import {
  layerNorm,
  linear,
  normalInit,
  normalize,
  ones,
  resizeBicubic,
  xavierUniform,
  zeros,
} from "@dmae/nn/layers";
import { createViT, type ViT, type ViTName } from "@dmae/vit";
import {
  block,
  initBlock,
  patchify,
  positionTensor,
  projectPatches,
  unpatchify,
} from "@dmae/vit/parts";
import * as tf from "@tensorflow/tfjs-core";
import { type DmaeConfig, type DmaeOptions, resolveDmaeConfig } from "./config.ts";
import { dmaeLoss, type LossRegion } from "./loss.ts";
import { gatherTokens, restoreTokens } from "./tokens.ts";

/** Inputs of a pass: images, noise and the order of masking. */
export interface DmaeInputs {
  /** `[B, inputSize, inputSize, C]` in [0, 1]. */
  readonly images: tf.Tensor;
  /** Standard normal, the shape of `images`; sigma is the model's. */
  readonly noise: tf.Tensor;
  /** `[B, K]` int32, see `randomMasking`. */
  readonly idsKeep: tf.Tensor;
  /** `[B, L]` int32. */
  readonly idsRestore: tf.Tensor;
  /** `[B, L]`, 1 for a hidden patch. */
  readonly mask: tf.Tensor;
}

/** What a pass returns; the caller disposes of all of it. */
export interface DmaeOutputs {
  /** Predicted patches, `[B, L, p^2 C]`, a patch in the order (row, column, channel). */
  readonly prediction: tf.Tensor;
  /** The clean image, resized and normalised: the target. */
  readonly clean: tf.Tensor;
  /** The noisy image, resized and normalised: what the encoder saw part of. */
  readonly noisy: tf.Tensor;
  /** Encoded visible tokens, the class token first, `[B, 1 + K, D]`. */
  readonly latent: tf.Tensor;
}

/** A Denoising Masked Autoencoder as pure functions of its parameters. */
export interface Dmae {
  /** Every field of the configuration. */
  readonly config: DmaeConfig;
  /** Patches in an image. */
  readonly length: number;
  /** Names that pre-training leaves alone: `pos_embed`, `decoder_pos_embed`. */
  readonly frozen: readonly string[];
  /** Initial parameters in ordinary memory, in the names and layouts of the official state dict. */
  initHost(key: Key): Record<string, HostTensor>;
  /** Initial parameters on the backend; the caller disposes of them. */
  init(key: Key): Params;
  /** Noise, resize, normalise, encode the visible patches, decode all. */
  apply(params: Params, inputs: DmaeInputs): DmaeOutputs;
  /** The loss of {@link Dmae.apply}, a scalar; the caller disposes of it. */
  loss(
    params: Params,
    inputs: DmaeInputs,
    options?: {
      readonly normPixLoss?: boolean | undefined;
      readonly region?: LossRegion | undefined;
    },
  ): tf.Scalar;
  /**
   * The autoencoder as a denoiser: nothing is hidden, and the predicted patches are put together, for denoised smoothing
   * (`denoised` of `@dmae/smoothing-certify`). A model that was pre-trained with `normPixLoss` predicts patches of
   * unknown mean and size, and is of no use here.
   *
   * @param noisy `[B, inputSize, inputSize, C]`, noisy images; no noise is added
   * @returns the same shape, not clipped; the caller disposes of it
   */
  denoise(params: Params, noisy: tf.Tensor): tf.Tensor;
}

/**
 * A Denoising Masked Autoencoder (arXiv:2210.06983). Noise `sigma` is added to images in [0, 1] at their own size;
 * clean and noisy image are resized and normalised; a ViT encodes the visible patches of the noisy one; a light
 * decoder predicts every patch of the clean one. `sigma: 0` is MAE (arXiv:2111.06377).
 *
 * Only the visible patches are projected to tokens; the official code projects all and then drops some.
 *
 * @param model the encoder: a ViT, its name, or at least `width`, `depth`, `heads`; decoder 512 wide, 8 deep, 16 heads unless said
 * @throws DmaeError "argument" naming the field
 *
 * @example
 * const dmae = createDmae("vit_base_patch16", { sigma: 0.25 });
 * const params = dmae.initHost(key(0)); // blocks.0.attn.qkv.weight, decoder_pred.bias, …
 */
export function createDmae(
  model: ViTName | DmaeOptions | ViT,
  overrides: Given<DmaeConfig> = {},
): Dmae {
  const config = resolveDmaeConfig(model, overrides);
  const apply = (params: Params, inputs: DmaeInputs) =>
    tf.tidy(() => ({ ...forward(config, params, inputs) }) as Tensors) as unknown as DmaeOutputs;
  return {
    config,
    length: (config.imageSize / config.patchSize) ** 2,
    frozen: ["pos_embed", "decoder_pos_embed"],
    initHost: (key) => initDmae(config, key),
    init: (key) => toTensors(initDmae(config, key)),
    apply,
    loss: (params, inputs, options = {}) =>
      tf.tidy(() => {
        const { prediction, clean } = forward(config, params, inputs);
        return dmaeLoss(prediction, clean, {
          ...options,
          patchSize: config.patchSize,
          mask: inputs.mask,
        });
      }),
    denoise: (params, noisy) => tf.tidy(() => denoise(config, params, noisy)),
  };
}

function denoise(config: DmaeConfig, params: Params, noisy: tf.Tensor): tf.Tensor {
  const { imageSize, inputSize, patchSize, mean, std } = config;
  const shape = [noisy.shape[0]!, (imageSize / patchSize) ** 2];
  const all = tf.tensor(
    Int32Array.from({ length: shape[0]! * shape[1]! }, (_, i) => i % shape[1]!),
    shape,
    "int32",
  );
  const { prediction } = forward({ ...config, sigma: 0 }, params, {
    ...{ images: noisy, noise: tf.zerosLike(noisy) },
    ...{ idsKeep: all, idsRestore: all, mask: tf.zeros(shape) },
  });
  const normalized = unpatchify(prediction, patchSize); // [B, imageSize, imageSize, C]
  const images = tf.add(tf.mul(normalized, tf.tensor1d([...std])), tf.tensor1d([...mean]));
  if (inputSize === imageSize) return images;
  return resizeBicubic(images, inputSize, inputSize, { antialias: true });
}

function forward(config: DmaeConfig, params: Params, inputs: DmaeInputs): DmaeOutputs {
  checkInputs(config, inputs);
  const { images, noise } = inputs;
  const clean = prepare(config, images);
  const noisy =
    config.sigma === 0 ? clean : prepare(config, tf.add(images, tf.mul(noise, config.sigma)));
  const latent = encode(config, params, noisy, inputs.idsKeep);
  const prediction = decode(config, params, latent, inputs);
  return { prediction, clean, noisy, latent };
}

/** Resizes and normalises, in the official order. */
function prepare({ inputSize, imageSize, mean, std }: DmaeConfig, images: tf.Tensor): tf.Tensor {
  const resized = inputSize === imageSize ? images : resizeBicubic(images, imageSize, imageSize);
  return normalize(resized, mean, std);
}

function encode(
  config: DmaeConfig,
  params: Params,
  noisy: tf.Tensor,
  idsKeep: tf.Tensor,
): tf.Tensor {
  const { width, depth, heads, epsilon, patchSize } = config;
  const [batch, keep] = idsKeep.shape as [number, number];
  const patches = gatherTokens(patchify(noisy, patchSize), idsKeep); // [B, K, p^2 C]
  const projected = projectPatches(params, patches);
  const positions = params.pos_embed!; // [1, 1 + L, D], fixed
  const length = positions.shape[1]! - 1;
  const table = tf.reshape(tf.slice(positions, [0, 1, 0], [1, length, width]), [length, width]);
  const places = tf.reshape(tf.gather(table, tf.reshape(idsKeep, [-1])), [batch, keep, width]);
  const first = tf.add(params.cls_token!, tf.slice(positions, [0, 0, 0], [1, 1, width]));
  const classTokens = tf.add(first, tf.zeros([batch, 1, width]));
  let tokens = tf.concat([classTokens, tf.add(projected, places)], 1); // [B, 1 + K, D]
  for (let i = 0; i < depth; i++) tokens = block(params, `blocks.${i}`, tokens, { heads, epsilon });
  return layerNorm(tokens, params["norm.weight"]!, params["norm.bias"]!, epsilon);
}

function decode(
  config: DmaeConfig,
  params: Params,
  latent: tf.Tensor,
  ids: Pick<DmaeInputs, "idsKeep" | "idsRestore" | "mask">,
): tf.Tensor {
  const { decoderDepth, decoderHeads: heads, decoderWidth: width, epsilon } = config;
  const embedded = linear(latent, params["decoder_embed.weight"]!, params["decoder_embed.bias"]!);
  const [batch, count] = embedded.shape as [number, number];
  const visible = tf.slice(embedded, [0, 1, 0], [batch, count - 1, width]);
  const restored = restoreTokens(visible, params.mask_token!, ids); // [B, L, D]
  const classTokens = tf.slice(embedded, [0, 0, 0], [batch, 1, width]);
  let tokens = tf.add(tf.concat([classTokens, restored], 1), params.decoder_pos_embed!);
  for (let i = 0; i < decoderDepth; i++)
    tokens = block(params, `decoder_blocks.${i}`, tokens, { heads, epsilon });
  const normed = layerNorm(
    tokens,
    params["decoder_norm.weight"]!,
    params["decoder_norm.bias"]!,
    epsilon,
  );
  const length = normed.shape[1]! - 1;
  const patches = tf.slice(normed, [0, 1, 0], [batch, length, width]);
  return linear(patches, params["decoder_pred.weight"]!, params["decoder_pred.bias"]!);
}

function checkInputs(config: DmaeConfig, { images, noise, idsKeep, idsRestore, mask }: DmaeInputs) {
  const { inputSize, channels, imageSize, patchSize } = config;
  const length = (imageSize / patchSize) ** 2;
  const batch = images.shape[0]!;
  const image = [batch, inputSize, inputSize, channels];
  const expected: [string, tf.Tensor, (number | undefined)[]][] = [
    ["images", images, image],
    ["noise", noise, image],
    ["idsKeep", idsKeep, [batch, idsKeep.shape[1]]],
    ["idsRestore", idsRestore, [batch, length]],
    ["mask", mask, [batch, length]],
  ];
  for (const [name, { shape }, wanted] of expected)
    if (`${shape}` !== `${wanted}`)
      throw new DmaeError("shape", `apply: ${name} must be [${wanted}], got [${shape}]`);
}

function initDmae(config: DmaeConfig, key: Key): Record<string, HostTensor> {
  const { decoderDepth, decoderWidth, decoderHeads: _, sigma: __, ...shape } = config;
  const { mlpRatio, imageSize, patchSize, channels } = shape;
  const encoder = createViT({ ...shape, numClasses: 0, globalPool: false }).initHost(key);
  const { cls_token, pos_embed, ...rest } = encoder;
  const blocks: HostTensors[] = [];
  for (let i = 0; i < decoderDepth; i++)
    blocks.push(initBlock(key, `decoder_blocks.${i}`, { width: decoderWidth, mlpRatio }));
  const dense = (name: string, outputs: number, inputs: number): HostTensors => ({
    [`${name}.weight`]: xavierUniform(foldIn(key, `${name}.weight`), [outputs, inputs]),
    [`${name}.bias`]: zeros([outputs]),
  });
  return Object.assign(
    {
      cls_token: cls_token!,
      pos_embed: pos_embed!,
      mask_token: normalInit(foldIn(key, "mask_token"), [1, 1, decoderWidth], 0.02),
      decoder_pos_embed: positionTensor(decoderWidth, imageSize / patchSize),
    },
    rest,
    dense("decoder_embed", decoderWidth, config.width),
    ...blocks,
    { "decoder_norm.weight": ones([decoderWidth]), "decoder_norm.bias": zeros([decoderWidth]) },
    dense("decoder_pred", patchSize * patchSize * channels, decoderWidth),
  );
}
