import type { HostTensor, Key } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { Params } from "@dmae/nn";
import {
  attention,
  dropPath,
  gelu,
  initializeParameters,
  layerNorm,
  linear,
  type ParameterSpecs,
} from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { linearParameters, normParameters } from "./parameters.ts";
import { everyToken, type Readout } from "./readout.ts";

/** What a block needs beside its parameters. */
export interface BlockOptions {
  /** Attention heads. */
  readonly heads: number;
  /** Epsilon of both LayerNorms. */
  readonly epsilon: number;
  /** Scales `[B]` of the attention and the MLP branch (`dropPath` of `@dmae/nn/layers`); none: both kept. */
  readonly dropPath?: readonly [attention: tf.Tensor, mlp: tf.Tensor] | undefined;
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
  checkOptions("block", options, { heads: true, epsilon: true, dropPath: true });
  return readBlock(params, prefix, x, options, everyToken);
}

/**
 * What `readout` takes of {@link block}'s result: for the mean of the patches an eighteenth of a six-block model's
 * products less, for the class token an eighth.
 *
 * @returns `[B, D]`, or `[B, N, D]` for every token; the caller disposes of it
 */
export function readBlock(
  params: Params,
  prefix: string,
  x: tf.Tensor,
  options: BlockOptions,
  { behindAttention, beforeLastLayer }: Readout,
): tf.Tensor {
  const p = (name: string) => params[`${prefix}.${name}`]!;
  const dense = (input: tf.Tensor, name: string) =>
    linear(input, p(`${name}.weight`), p(`${name}.bias`));
  const norm = (input: tf.Tensor, name: string) =>
    layerNorm(input, p(`${name}.weight`), p(`${name}.bias`), options.epsilon);
  const [keepAttention, keepMlp] = options.dropPath ?? [];
  const residual = (input: tf.Tensor, branch: tf.Tensor, scale: tf.Tensor | undefined) =>
    tf.add(input, scale ? dropPath(branch, scale) : branch);
  return tf.tidy(() => {
    const attended = behindAttention(attention(dense(norm(x, "norm1"), "attn.qkv"), options.heads));
    const middle = residual(behindAttention(x), dense(attended, "attn.proj"), keepAttention);
    const hidden = beforeLastLayer(gelu(dense(norm(middle, "norm2"), "mlp.fc1"))); // [..., mlpRatio D]
    return residual(beforeLastLayer(middle), dense(hidden, "mlp.fc2"), keepMlp);
  });
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
  return initializeParameters(key, blockParameters(prefix, shape));
}
