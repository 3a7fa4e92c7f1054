import { DmaeError, type Given, type HostTensor, type Key } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { type ApplyOptions, type Model, type Params, toTensors } from "@dmae/nn";
import {
  checkParameters,
  constantSpec,
  initializeParameters,
  layerNorm,
  linear,
  normalInit,
  normalize,
  type ParameterSpecs,
  resizeBicubic,
  truncatedNormal,
  zeros,
} from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { block, blockParameters, readBlock } from "./block.ts";
import { resolveConfig, type ViTConfig, type ViTName, type ViTOptions } from "./config.ts";
import { normParameters } from "./parameters.ts";
import { patchEmbed, patchEmbedParameters } from "./patches.ts";
import { sincosPositions2d } from "./positions.ts";
import { classToken, meanOfPatches } from "./readout.ts";

/** How a Vision Transformer is run. */
export interface ViTApplyOptions extends ApplyOptions {
  /**
   * `[B, K]` int32, the patches that are seen, each at most once and row by row from the top left; the others are
   * dropped in front of the first block, as in a Smoothed ViT (Salman et al. 2022, arXiv:2110.07719) and in the
   * encoder of an MAE. Default: all patches.
   */
  readonly visible?: tf.Tensor | undefined;
}

/** A Vision Transformer: pure functions of named parameters. */
export interface ViT extends Model {
  /** Every field, frozen. */
  readonly config: ViTConfig;
  /** Initial parameters on the current backend; the caller disposes of them. */
  init(key: Key): Params;
  /**
   * The representation in front of the head.
   *
   * @param x `[B, inputSize, inputSize, channels]` float32, images in [0, 1], noise included
   * @returns `[B, width]`; the caller disposes of it
   */
  features(params: Params, x: tf.Tensor, options?: ViTApplyOptions): tf.Tensor;
  /**
   * Class scores, `[B, numClasses]`; the caller disposes of them.
   *
   * @param x as for `features`
   */
  logits(params: Params, x: tf.Tensor, options?: ViTApplyOptions): tf.Tensor;
}

/**
 * A Vision Transformer (arXiv:2010.11929) with fixed sine-cosine positions, as in MAE and DMAE.
 * Images in [0, 1] go in; channel normalisation and, for small images, bicubic upsampling are part of
 * the model. Names and layouts of parameters are those of the official PyTorch checkpoints.
 *
 * Differs from the official code in order only: images are normalised before they are resized, not
 * after. Each row of the interpolation sums to 1, so the result is the same to rounding.
 *
 * @param model a name, or at least `width`, `depth` and `heads`
 * @param overrides fields of {@link ViTConfig} that differ
 * @throws DmaeError "argument" for an unknown name or a field outside its range
 * @example
 * ```ts
 * const vit = createViT("vit_base_patch16", { numClasses: 10, inputSize: 32 }); // CIFAR-10
 * const params = vit.init(key(0));
 * const logits = vit.logits(params, images); // [B, 10]
 * ```
 */
export function createViT(model: ViTName | ViTOptions, overrides: Given<ViTConfig> = {}): ViT {
  const config = resolveConfig(model, overrides);
  const specs = vitParameters(config);
  const trunk = Object.fromEntries(
    Object.entries(specs).filter(([name]) => !name.startsWith("head.")),
  );
  const { inputSize, channels, numClasses } = config;
  const initHost = (key: Key) => initializeParameters(key, specs);
  const vit: ViT = {
    config,
    imageShape: [inputSize, inputSize, channels],
    numClasses,
    buffers: [],
    initHost,
    apply: (params, images, options) => ({ logits: vit.logits(params, images, options) }),
    init: (key) => toTensors(initHost(key)),
    features(params, x, options = {}) {
      checkOptions("features", options, applyNames);
      checkParameters("features", trunk, params);
      return tf.tidy(() => features(config, params, x, options));
    },
    logits(params, x, options = {}) {
      checkOptions("logits", options, applyNames);
      checkParameters("logits", specs, params);
      return tf.tidy(() => {
        if (config.numClasses === 0)
          throw new DmaeError("argument", "logits: this model has no head, its numClasses is 0");
        const pooled = features(config, params, x, options);
        return linear(pooled, params["head.weight"]!, params["head.bias"]!);
      });
    },
  };
  return vit;
}

const applyNames = {
  training: true,
  dropPath: true,
  visible: true,
} satisfies OptionNames<ViTApplyOptions>;

function features(
  config: ViTConfig,
  params: Params,
  x: tf.Tensor,
  options: ViTApplyOptions,
): tf.Tensor {
  const { depth, heads, epsilon, globalPool } = config;
  const blockOptions = (i: number) => ({ heads, epsilon, ...dropPathOf(config, options, x, i) });
  let tokens = embed(config, params, x, options.visible); // [B, 1 + N, D], or [B, 1 + K, D]
  const last = depth - 1;
  for (let i = 0; i < last; i++) {
    const next = tf.tidy(() => block(params, `blocks.${i}`, tokens, blockOptions(i)));
    tokens.dispose();
    tokens = next;
  }
  const readout = globalPool ? meanOfPatches : classToken;
  const pooled = readBlock(params, `blocks.${last}`, tokens, blockOptions(last), readout);
  const name = globalPool ? "fc_norm" : "norm";
  // Acts on tokens one by one: normalising the class token alone is enough.
  return layerNorm(pooled, params[`${name}.weight`]!, params[`${name}.bias`]!, epsilon);
}

/** Images to tokens with positions, class token first. */
function embed(config: ViTConfig, params: Params, x: tf.Tensor, visible?: tf.Tensor): tf.Tensor {
  const { inputSize, imageSize, channels, mean, std } = config;
  if (x.rank !== 4 || `${x.shape.slice(1)}` !== `${[inputSize, inputSize, channels]}`)
    throw new DmaeError(
      "shape",
      `features: x must be [B, ${inputSize}, ${inputSize}, ${channels}], got [${x.shape}]`,
    );
  return tf.tidy(() => {
    const normalized = normalize(x, mean, std);
    const images =
      inputSize === imageSize ? normalized : resizeBicubic(normalized, imageSize, imageSize);
    if (visible) checkVisible(config, x, visible);
    const patches = patchEmbed(params, images, visible); // [B, N, D], or [B, K, D]
    const batch = tf.zeros([x.shape[0]!, 1, config.width]);
    const first = tf.add(params.cls_token!, batch); // broadcast; the gradient is a sum
    const positions = visible ? positionsOf(params.pos_embed!, visible) : params.pos_embed!;
    return tf.add(tf.concat([first, patches], 1), positions);
  });
}

/** Positions `[B, 1 + K, D]` of the class token and of the visible patches. */
function positionsOf(positions: tf.Tensor, visible: tf.Tensor): tf.Tensor {
  const batch = visible.shape[0]!;
  const withClass = tf.concat(
    [tf.zeros([batch, 1], "int32"), tf.add(visible, tf.scalar(1, "int32"))],
    1,
  );
  return tf.gather(tf.squeeze(positions, [0]), withClass);
}

function checkVisible(config: ViTConfig, x: tf.Tensor, visible: tf.Tensor): void {
  const { shape, rank, dtype } = visible;
  const grid = config.imageSize / config.patchSize;
  const fits = rank === 2 && shape[0] === x.shape[0] && shape[1]! >= 1 && shape[1]! <= grid * grid;
  if (fits && dtype === "int32") return;
  throw new DmaeError(
    "shape",
    `features: visible must be int32 [${x.shape[0]}, K] with K from 1 to ${grid * grid}, got ${dtype} [${shape}]`,
  );
}

function dropPathOf(config: ViTConfig, options: ApplyOptions, x: tf.Tensor, index: number) {
  const scales = options.dropPath;
  if (!scales) return {};
  const batch = x.shape[0]!;
  if (`${scales.shape}` !== `${[config.depth, 2, batch]}`)
    throw new DmaeError(
      "shape",
      `features: dropPath must be [${config.depth}, 2, ${batch}], got [${scales.shape}]`,
    );
  const branch = (j: number) => tf.reshape(tf.slice(scales, [index, j, 0], [1, 1, batch]), [batch]);
  return { dropPath: [branch(0), branch(1)] as const };
}

/** Every parameter of the model, in the order of the official state dict. */
function vitParameters(config: ViTConfig): ParameterSpecs {
  const { width, depth, imageSize, patchSize, numClasses, globalPool } = config;
  const grid = imageSize / patchSize;
  const blocks = Array.from({ length: depth }, (_, i) => blockParameters(`blocks.${i}`, config));
  const norm = normParameters(globalPool ? "fc_norm" : "norm", width);
  const head: ParameterSpecs = {
    "head.weight": {
      shape: [numClasses, width],
      initialize: (key, shape) => truncatedNormal(key, shape, 2e-5),
    },
    "head.bias": constantSpec([numClasses], zeros),
  };
  return Object.assign(
    {
      cls_token: {
        shape: [1, 1, width],
        initialize: (key: Key, shape: readonly number[]) => normalInit(key, shape, 0.02),
      },
      pos_embed: constantSpec([1, 1 + grid * grid, width], () => positionTensor(width, grid)),
    },
    patchEmbedParameters(config),
    ...blocks,
    globalPool ? {} : norm,
    numClasses > 0 ? head : {},
    globalPool ? norm : {},
  );
}

/**
 * Names and shapes of a model's parameters, in the order of the official state dict, without drawing
 * any.
 */
export function parameterShapes(config: ViTConfig): Record<string, readonly number[]> {
  return Object.fromEntries(
    Object.entries(vitParameters(config)).map(([name, { shape }]) => [name, shape]),
  );
}

/** `pos_embed` as the official models store it: sine-cosine positions rounded to float32, `[1, 1 + grid^2, width]`. */
export function positionTensor(width: number, grid: number): HostTensor {
  const data = Float32Array.from(sincosPositions2d(width, grid));
  return { dtype: "float32", shape: [1, 1 + grid * grid, width], data };
}
