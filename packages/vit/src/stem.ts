import type { Key } from "@dmae/core";
import type { Params } from "@dmae/nn";
import {
  constantSpec,
  conv2d,
  gelu,
  normalInit,
  type ParameterSpecs,
  zeros,
} from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";

/** Side of what the stem leaves of a patch: half of it, rounded up. */
export const stemSide = (patchSize: number) => Math.ceil(patchSize / 2);

/**
 * Two 3x3 convolutions with GELUs inside each patch, the second with stride 2. No window crosses an edge of its patch, so that hidden
 * patches can be left out. That convolutions before the first block make training faster is shown by Xiao et al. (arXiv:2106.14881).
 *
 * @param params `patch_embed.stem.0.weight` `[S, C, 3, 3]`, `patch_embed.stem.1.weight` `[2 S, S, 3, 3]` and their biases
 * @param patches `[B, K, patch^2 C]`
 * @returns `[B, K, side^2 2 S]`, in the order (row, column, channel); the caller disposes of it
 */
export function applyStem(params: Params, patches: tf.Tensor, patchSize: number): tf.Tensor {
  const [batch, count, length] = patches.shape as [number, number, number];
  const convolved = (x: tf.Tensor, index: number, stride: number) => {
    const [weight, bias] = ["weight", "bias"].map(
      (name) => params[`patch_embed.stem.${index}.${name}`]!,
    );
    return gelu(conv2d(x, weight!, { bias, stride, padding: 1 }));
  };
  return tf.tidy(() => {
    const channels = length / (patchSize * patchSize);
    const images = tf.reshape(patches, [batch * count, patchSize, patchSize, channels]);
    return tf.reshape(convolved(convolved(images, 0, 1), 1, 2), [batch, count, -1]);
  });
}

/** Parameters of {@link applyStem}: weights as He et al. draw them by fan-in (arXiv:1502.01852), biases zero. */
export function stemParameters(stemWidth: number, channels: number): ParameterSpecs {
  const layer = (index: number, outputs: number, inputs: number): ParameterSpecs => ({
    [`patch_embed.stem.${index}.weight`]: {
      shape: [outputs, inputs, 3, 3],
      initialize: (key: Key, shape: readonly number[]) =>
        normalInit(key, shape, Math.sqrt(2 / (9 * inputs))),
    },
    [`patch_embed.stem.${index}.bias`]: constantSpec([outputs], zeros),
  });
  return { ...layer(0, stemWidth, channels), ...layer(1, 2 * stemWidth, stemWidth) };
}
