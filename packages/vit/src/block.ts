import type { HostTensor, Key } from "@dmae/core";
import { attention, dropPath, gelu, layerNorm, linear, type Params } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { initialize, linearParameters, normParameters, type ParameterSpecs } from "./parameters.ts";
import { classToken, meanOfPatches } from "./readout.ts";

/** What a block needs beside its parameters. */
export interface BlockOptions {
  /** Attention heads. */
  readonly heads: number;
  /** Epsilon of both LayerNorms. */
  readonly epsilon: number;
  /** Scales `[B]` of the attention and the MLP branch (`dropPath` of `@dmae/nn`); none: both kept. */
  readonly dropPath?: readonly [attention: tf.Tensor, mlp: tf.Tensor];
}

/**
 * A pre-norm transformer block: `x + attention(norm1(x))`, then `x + mlp(norm2(x))`.
 *
 * @param params those of {@link initBlock}
 * @param prefix their common prefix, e.g. `blocks.0`
 * @param x `[B, N, D]`
 * @returns `[B, N, D]`; the caller disposes of it
 */
export function block(
  params: Params,
  prefix: string,
  x: tf.Tensor,
  options: BlockOptions,
): tf.Tensor {
  const { attend, afterAttention, hidden, afterMlp } = partsOf(params, prefix, options);
  return tf.tidy(() => {
    const middle = afterAttention(x, attend(x));
    return afterMlp(middle, hidden(middle));
  });
}

/**
 * The mean of the patches of {@link block}'s result. It is taken in front of the block's last layer, which is linear
 * and so acts on a mean as it does on a token: an eighteenth of a six-block model's products less.
 *
 * @returns `[B, D]`; the caller disposes of it
 */
export function blockMean(
  params: Params,
  prefix: string,
  x: tf.Tensor,
  options: BlockOptions,
): tf.Tensor {
  const { attend, afterAttention, hidden, afterMlp } = partsOf(params, prefix, options);
  return tf.tidy(() => {
    const middle = afterAttention(x, attend(x));
    return afterMlp(meanOfPatches(middle), meanOfPatches(hidden(middle)));
  });
}

/**
 * The class token of {@link block}'s result. Only attention reads the other tokens, so the layers behind it see the
 * class token alone.
 *
 * @returns `[B, D]`; the caller disposes of it
 */
export function blockClassToken(
  params: Params,
  prefix: string,
  x: tf.Tensor,
  options: BlockOptions,
): tf.Tensor {
  const { attend, afterAttention, hidden, afterMlp } = partsOf(params, prefix, options);
  return tf.tidy(() => {
    const middle = afterAttention(classToken(x), classToken(attend(x)));
    return afterMlp(middle, hidden(middle));
  });
}

/** The two branches of a block, each up to its last layer and from there. */
function partsOf(params: Params, prefix: string, options: BlockOptions) {
  const p = (name: string) => params[`${prefix}.${name}`]!;
  const dense = (input: tf.Tensor, name: string) =>
    linear(input, p(`${name}.weight`), p(`${name}.bias`));
  const norm = (input: tf.Tensor, name: string) =>
    layerNorm(input, p(`${name}.weight`), p(`${name}.bias`), options.epsilon);
  const [keepAttention, keepMlp] = options.dropPath ?? [];
  const residual = (input: tf.Tensor, branch: tf.Tensor, scale: tf.Tensor | undefined) =>
    tf.add(input, scale ? dropPath(branch, scale) : branch);
  return {
    attend: (x: tf.Tensor) => attention(dense(norm(x, "norm1"), "attn.qkv"), options.heads),
    afterAttention: (x: tf.Tensor, attended: tf.Tensor) =>
      residual(x, dense(attended, "attn.proj"), keepAttention),
    /** `[..., mlpRatio D]` */
    hidden: (x: tf.Tensor) => gelu(dense(norm(x, "norm2"), "mlp.fc1")),
    afterMlp: (x: tf.Tensor, activations: tf.Tensor) =>
      residual(x, dense(activations, "mlp.fc2"), keepMlp),
  };
}

/** Parameters of a block. */
export function blockParameters(
  prefix: string,
  { width, mlpRatio }: { readonly width: number; readonly mlpRatio: number },
): ParameterSpecs {
  return {
    ...normParameters(`${prefix}.norm1`, width),
    ...linearParameters(`${prefix}.attn.qkv`, 3 * width, width),
    ...linearParameters(`${prefix}.attn.proj`, width, width),
    ...normParameters(`${prefix}.norm2`, width),
    ...linearParameters(`${prefix}.mlp.fc1`, width * mlpRatio, width),
    ...linearParameters(`${prefix}.mlp.fc2`, width, width * mlpRatio),
  };
}

/**
 * Initial values of a block, as the official code sets them: Glorot-uniform weights (query, key and
 * value as one matrix), zero biases, unit gains. Each follows from the key and its own name.
 *
 * @param prefix e.g. `blocks.0`
 */
export function initBlock(
  key: Key,
  prefix: string,
  shape: { readonly width: number; readonly mlpRatio: number },
): Record<string, HostTensor> {
  return initialize(key, blockParameters(prefix, shape));
}
