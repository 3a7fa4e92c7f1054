import type { HostTensor, Key } from "@dmae/core";
import type { Params, Tensors } from "@dmae/nn";
import {
  batchNorm,
  constantSpec,
  conv2d,
  linear,
  normalInit,
  ones,
  type ParameterSpecs,
  uniformInit,
  zeros,
} from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";

/** One pass through a network: where its layers read their parameters and leave their new running statistics. */
export interface Pass {
  readonly params: Params;
  /** Normalise with the statistics of the batch, and write the running ones after it to `updates`. */
  readonly training: boolean;
  /** New running statistics by name; filled by {@link normalized}. */
  readonly updates: Tensors;
}

/** Draws a weight of a given shape. */
export type Initializer = (key: Key, shape: readonly number[]) => HostTensor;

const fanIn = (shape: readonly number[]) => shape.slice(1).reduce((a, b) => a * b, 1);

/** PyTorch's default of convolutions and linear layers. */
export const defaultInit: Initializer = (key, shape) => uniformInit(key, shape, fanIn(shape));

/** He et al.'s normal initialisation by fan-out (arXiv:1502.01852): N(0, 2 / (kh kw out)). */
export const heNormal: Initializer = (key, shape) => {
  const [outputs, , height, width] = shape as [number, number, number, number];
  return normalInit(key, shape, Math.sqrt(2 / (height * width * outputs)));
};

/** A convolution without a bias. */
export function convParameters(
  name: string,
  shape: readonly [outputs: number, inputs: number, size: number],
  initialize: Initializer,
): ParameterSpecs {
  const [outputs, inputs, size] = shape;
  return { [`${name}.weight`]: { shape: [outputs, inputs, size, size], initialize } };
}

/** A weight and a bias as PyTorch draws them: both uniform within 1 / sqrt(fan-in). */
export function defaultParameters(name: string, shape: readonly number[]): ParameterSpecs {
  return {
    [`${name}.weight`]: { shape, initialize: defaultInit },
    [`${name}.bias`]: {
      shape: [shape[0]!],
      initialize: (key, own) => uniformInit(key, own, fanIn(shape)),
    },
  };
}

/** Batch normalisation: gain 1, bias 0, running mean 0, running variance 1. */
export function normParameters(name: string, channels: number): ParameterSpecs {
  return {
    [`${name}.weight`]: constantSpec([channels], ones),
    [`${name}.bias`]: constantSpec([channels], zeros),
    [`${name}.running_mean`]: constantSpec([channels], zeros),
    [`${name}.running_var`]: constantSpec([channels], ones),
  };
}

/** Is this the name of a running statistic? */
export const isBuffer = (name: string) => /\.running_(mean|var)$/.test(name);

/** Convolution `name`, with its bias where it has one. */
export function convolved(
  { params }: Pass,
  name: string,
  x: tf.Tensor,
  window: { readonly stride?: number; readonly padding?: number } = {},
): tf.Tensor {
  return conv2d(x, params[`${name}.weight`]!, { bias: params[`${name}.bias`], ...window });
}

/** Linear layer `name`. */
export function projected({ params }: Pass, name: string, x: tf.Tensor): tf.Tensor {
  return linear(x, params[`${name}.weight`]!, params[`${name}.bias`]!);
}

/** Settings of a batch normalisation. */
export interface NormSettings {
  /** Added to the variance; default 1e-5. */
  readonly epsilon?: number | undefined;
  /** Weight of the batch in the new running statistics; default 0.1. */
  readonly momentum?: number | undefined;
}

/**
 * Batch normalisation `name` as PyTorch's: with the statistics of the batch in training, where the running variance
 * takes the unbiased one, and with the running statistics else.
 */
export function normalized(
  pass: Pass,
  name: string,
  x: tf.Tensor,
  { epsilon = 1e-5, momentum = 0.1 }: NormSettings = {},
): tf.Tensor {
  const [gain, bias] = [pass.params[`${name}.weight`]!, pass.params[`${name}.bias`]!];
  const mean = pass.params[`${name}.running_mean`]!;
  const variance = pass.params[`${name}.running_var`]!;
  if (!pass.training) {
    const scale = tf.mul(gain, tf.rsqrt(tf.add(variance, epsilon)));
    return tf.add(tf.mul(x, scale), tf.sub(bias, tf.mul(mean, scale)));
  }
  const batch = batchNorm(x, gain, bias, epsilon);
  const count = x.size / gain.size;
  const blend = (old: tf.Tensor, now: tf.Tensor, factor: number) =>
    tf.add(tf.mul(old, 1 - momentum), tf.mul(now, momentum * factor));
  pass.updates[`${name}.running_mean`] = blend(mean, batch.mean, 1);
  pass.updates[`${name}.running_var`] = blend(variance, batch.variance, count / (count - 1));
  return batch.y;
}

/** `[B, H, W, C]` to `[B, C H W]` in PyTorch's order of features. */
export function flattened(x: tf.Tensor): tf.Tensor {
  return tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [x.shape[0]!, -1]);
}

/** The mean over the pixels, `[B, C]`. */
export const pixelMean = (x: tf.Tensor): tf.Tensor => tf.mean(x, [1, 2]);
