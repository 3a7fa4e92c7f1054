import { DmaeError, type Given, type HostTensor, type Key } from "@dmae/core";
import { checkOptions, defined } from "@dmae/core/checks";
import { type Params, toTensors } from "@dmae/nn";
import {
  checkParameters,
  constantSpec,
  conv2d,
  initializeParameters,
  linear,
  ones,
  type ParameterSpecs,
  zeros,
} from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { defaultParameters } from "./layers.ts";
import { checkCounts } from "./network.ts";

/** The shape of a U-Net. */
export interface UNetConfig {
  /** Channels of an image. */
  readonly channels: number;
  /** Channels of the first level, a multiple of 8; each further level has twice as many. */
  readonly width: number;
  /** Levels; sides of an image must be multiples of `2^(levels - 1)`. */
  readonly levels: number;
}

/** A U-Net that predicts noise: pure functions of named parameters. */
export interface UNet {
  /** Every field, frozen. */
  readonly config: UNetConfig;
  /** Shape of every parameter, by name. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Initial parameters in host memory; each value follows from the key, the name and the position. */
  initHost(key: Key): Record<string, HostTensor>;
  /** Initial parameters on the current backend; the caller disposes of them. */
  init(key: Key): Params;
  /**
   * The predicted noise `[B, H, W, channels]`; the caller disposes of it.
   *
   * @param images `[B, H, W, channels]` float32, noisy images in [-1, 1]
   * @param time `[B]` float32, the step of the diffusion times the schedule's `timeScale`
   * @throws DmaeError "shape" for images or times that do not fit
   */
  predict(params: Params, images: tf.Tensor, time: tf.Tensor): tf.Tensor;
}

const GROUPS = 8;
const EPSILON = 1e-5;

/**
 * A small U-Net with time embedding, the noise predictor of a diffusion model (arXiv:2006.11239, appendix B): on each
 * level a residual block of two 3x3 convolutions with group normalisation and SiLU, into which the embedded time is
 * added; strided convolutions lead down, nearest-neighbour upsampling and a convolution lead up, and every level is passed
 * across. There is no attention. The time is embedded as cosines and sines of `width / 2` frequencies, `10000^(-i / (width / 2))`.
 *
 * The last convolution of each block and of the network is zero at first, so that a fresh U-Net predicts no noise.
 *
 * @param options `channels` 3, `width` 32 and `levels` 3 where they are left out
 * @throws DmaeError "argument" for a field outside its range
 * @example
 * ```ts
 * const unet = createUNet({ channels: 1, width: 16, levels: 2 });
 * const noise = unet.predict(unet.init(key(0)), images, tf.fill([images.shape[0]!], 289.5)); // [B, 28, 28, 1]
 * ```
 */
export function createUNet(options: Given<UNetConfig> = {}): UNet {
  checkOptions("createUNet", options, { channels: true, width: true, levels: true });
  const config = Object.freeze({ channels: 3, width: 32, levels: 3, ...defined(options) });
  const { channels, width, levels } = config;
  checkCounts("createUNet", { channels, width, levels });
  if (levels > 12)
    throw new DmaeError("argument", `createUNet: levels must be at most 12, got ${levels}`);
  if (width % GROUPS !== 0)
    throw new DmaeError("argument", `createUNet: width must be a multiple of 8, got ${width}`);
  const specs = unetParameters(config);
  const initHost = (key: Key) => initializeParameters(key, specs);
  return {
    config,
    shapes: Object.fromEntries(Object.entries(specs).map(([name, { shape }]) => [name, shape])),
    initHost,
    init: (key) => toTensors(initHost(key)),
    predict(params, images, time) {
      checkParameters("predict", specs, params);
      checkInputs(config, images, time);
      return tf.tidy(() => forward(config, params, images, time));
    },
  };
}

function checkInputs({ channels, levels }: UNetConfig, images: tf.Tensor, time: tf.Tensor): void {
  const unit = 2 ** (levels - 1);
  const [, height = 0, width = 0, given] = images.shape;
  if (images.rank !== 4 || given !== channels || height % unit !== 0 || width % unit !== 0)
    throw new DmaeError(
      "shape",
      `predict: images must be [B, H, W, ${channels}] with sides that are multiples of ${unit}, got [${images.shape}]`,
    );
  if (`${time.shape}` !== `${[images.shape[0]]}`)
    throw new DmaeError("shape", `predict: time must be [${images.shape[0]}], got [${time.shape}]`);
}

const levelsOf = ({ levels, width }: UNetConfig) =>
  Array.from({ length: levels }, (_, level) => ({ level, size: width * 2 ** level }));

const conv = (name: string, outputs: number, inputs: number, side = 3) =>
  defaultParameters(name, [outputs, inputs, side, side]);

const zeroConv = (name: string, outputs: number, inputs: number): ParameterSpecs => ({
  [`${name}.weight`]: constantSpec([outputs, inputs, 3, 3], zeros),
  [`${name}.bias`]: constantSpec([outputs], zeros),
});

const normParameters = (name: string, size: number): ParameterSpecs => ({
  [`${name}.weight`]: constantSpec([size], ones),
  [`${name}.bias`]: constantSpec([size], zeros),
});

const blockParameters = (
  name: string,
  inputs: number,
  outputs: number,
  time: number,
): ParameterSpecs => ({
  ...normParameters(`${name}.norm1`, inputs),
  ...conv(`${name}.conv1`, outputs, inputs),
  ...defaultParameters(`${name}.time`, [outputs, time]),
  ...normParameters(`${name}.norm2`, outputs),
  ...zeroConv(`${name}.conv2`, outputs, outputs),
  ...(inputs === outputs ? {} : conv(`${name}.skip`, outputs, inputs, 1)),
});

function unetParameters(config: UNetConfig): ParameterSpecs {
  const { channels, width } = config;
  const time = 4 * width;
  const levels = levelsOf(config);
  const last = levels.at(-1)!.size;
  return Object.assign(
    defaultParameters("time.0", [time, width]),
    defaultParameters("time.1", [time, time]),
    conv("first", width, channels),
    ...levels.map(({ level, size }) => ({
      ...blockParameters(`down.${level}`, size, size, time),
      ...(size === last ? {} : conv(`down.${level}.down`, 2 * size, size)),
    })),
    blockParameters("middle", last, last, time),
    ...levels.map(({ level, size }) => ({
      ...blockParameters(`up.${level}`, 2 * size, size, time),
      ...(level === 0 ? {} : conv(`up.${level}.up`, size / 2, size)),
    })),
    normParameters("norm", width),
    zeroConv("last", channels, width),
  );
}

function forward(config: UNetConfig, params: Params, images: tf.Tensor, time: tf.Tensor) {
  const levels = levelsOf(config);
  const embedded = embedTime(config, params, time);
  const across: tf.Tensor[] = [];
  let x = convolution(params, "first", images);
  for (const { level } of levels) {
    x = block(params, `down.${level}`, x, embedded);
    across.push(x);
    if (level < levels.length - 1) x = convolution(params, `down.${level}.down`, x, 2);
  }
  x = block(params, "middle", x, embedded);
  for (const { level } of [...levels].reverse()) {
    x = block(params, `up.${level}`, tf.concat([x, across[level]!], 3), embedded);
    if (level > 0) x = convolution(params, `up.${level}.up`, twiceAsLarge(x));
  }
  return convolution(params, "last", silu(groupNorm(params, "norm", x)));
}

const silu = (x: tf.Tensor) => tf.mul(x, tf.sigmoid(x));

const convolution = (params: Params, name: string, x: tf.Tensor, stride = 1) => {
  const weight = params[`${name}.weight`]!;
  const bias = params[`${name}.bias`]!;
  return conv2d(x, weight, { bias, stride, padding: (weight.shape[2]! - 1) / 2 });
};

const dense = (params: Params, name: string, x: tf.Tensor) =>
  linear(x, params[`${name}.weight`]!, params[`${name}.bias`]!);

/** `[B, 4 width]`: the time as cosines and sines, through two layers. */
function embedTime({ width }: UNetConfig, params: Params, time: tf.Tensor): tf.Tensor {
  const half = width / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) => 10_000 ** (-i / half));
  const angles = tf.mul(tf.expandDims(time, 1), tf.tensor2d(frequencies, [1, half])); // [B, half]
  const waves = tf.concat([tf.cos(angles), tf.sin(angles)], 1);
  return silu(dense(params, "time.1", silu(dense(params, "time.0", waves))));
}

/** Two convolutions, with the time added between them, beside a shortcut. */
function block(params: Params, name: string, x: tf.Tensor, time: tf.Tensor): tf.Tensor {
  const first = convolution(params, `${name}.conv1`, silu(groupNorm(params, `${name}.norm1`, x)));
  const shift = dense(params, `${name}.time`, time); // [B, C]
  const shifted = tf.add(first, tf.reshape(shift, [shift.shape[0]!, 1, 1, shift.shape[1]!]));
  const hidden = silu(groupNorm(params, `${name}.norm2`, shifted));
  const skip = params[`${name}.skip.weight`] ? convolution(params, `${name}.skip`, x) : x;
  return tf.add(convolution(params, `${name}.conv2`, hidden), skip);
}

/** Mean 0 and variance 1 over the pixels and the channels of each of 8 groups, then a gain and a bias for each channel. */
function groupNorm(params: Params, name: string, x: tf.Tensor): tf.Tensor {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const grouped = tf.reshape(x, [batch, height * width, GROUPS, channels / GROUPS]);
  const centred = tf.sub(grouped, tf.mean(grouped, [1, 3], true));
  const variance = tf.mean(tf.square(centred), [1, 3], true);
  const normed = tf.reshape(tf.div(centred, tf.sqrt(tf.add(variance, EPSILON))), x.shape);
  return tf.add(tf.mul(normed, params[`${name}.weight`]!), params[`${name}.bias`]!);
}

/** Each pixel four times, `[B, 2H, 2W, C]`. */
function twiceAsLarge(x: tf.Tensor): tf.Tensor {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const rows = tf.reshape(x, [batch * height, 1, width, channels]);
  const tiled = tf.tile(rows, [1, 2, 1, 2]); // a row twice; the channels of a pixel twice
  return tf.reshape(tiled, [batch, 2 * height, 2 * width, channels]);
}
