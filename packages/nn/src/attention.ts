import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { type CompositeKernel, KERNELS, runComposite } from "./kernels.ts";
import { matMul4d } from "./mat-mul.ts";

/** `[B, N, parts * H * d]` -> `parts` tensors `[B, H, N, d]`; rank 4 throughout, for webgpu. */
function splitHeads(x: tf.Tensor, parts: number, heads: number): tf.Tensor[] {
  const [batch, tokens, width] = x.shape as [number, number, number];
  const apart = tf.reshape(x, [batch, tokens, parts * heads, width / (parts * heads)]);
  const headsFirst = tf.transpose(apart, [0, 2, 1, 3]);
  return parts === 1 ? [headsFirst] : tf.split(headsFirst, parts, 1);
}

/** The inverse of {@link splitHeads}. */
function joinHeads(parts: tf.Tensor[]): tf.Tensor {
  const headsFirst = parts.length === 1 ? parts[0]! : tf.concat(parts, 1);
  const [batch, heads, tokens, size] = headsFirst.shape as [number, number, number, number];
  return tf.reshape(tf.transpose(headsFirst, [0, 2, 1, 3]), [batch, tokens, heads * size]);
}

const scaleOf = (qkv: tf.Tensor, heads: number) => Math.sqrt((3 * heads) / qkv.shape[2]!);

const gradKernel: CompositeKernel = {
  name: KERNELS.attentionGrad,
  compose({ qkv, y, probabilities, dy }, { heads }) {
    const [q, k, v] = splitHeads(qkv!, 3, heads!);
    const [out] = splitHeads(dy!, 1, heads!);
    const [batch, tokens, width] = y!.shape as [number, number, number];
    const perHead = tf.reshape(tf.mul(dy!, y!), [batch, tokens, heads!, width / heads!]);
    const rowSum = tf.expandDims(tf.transpose(tf.sum(perHead, 3), [0, 2, 1]), 3); // [B, H, N, 1]
    const scale = scaleOf(qkv!, heads!);
    const dScores = tf.mul(probabilities!, tf.sub(matMul4d(out!, v!, false, true), rowSum));
    const dq = tf.mul(matMul4d(dScores, k!), scale);
    const dk = tf.mul(matMul4d(dScores, q!, true), scale);
    const dv = matMul4d(probabilities!, out!, true);
    return [joinHeads([dq, dk, dv])];
  },
};

const kernel: CompositeKernel = {
  name: KERNELS.attention,
  compose({ qkv }, { heads }) {
    const [q, k, v] = splitHeads(qkv!, 3, heads!);
    const scores = matMul4d(tf.mul(q!, scaleOf(qkv!, heads!)), k!, false, true); // [B, H, N, N]
    const probabilities = tf.softmax(scores);
    return [joinHeads([matMul4d(probabilities, v!)]), probabilities];
  },
  gradient: {
    inputsToSave: ["qkv"],
    outputsToSave: [true, true],
    backward: (dy, [qkv, y, probabilities], { heads }) => ({
      qkv: () =>
        runComposite(
          gradKernel,
          { qkv: qkv!, y: y!, probabilities: probabilities!, dy },
          { heads: heads! },
        )[0]!,
    }),
  },
};

/**
 * Multi-head self-attention (arXiv:1706.03762) between its two linear layers:
 * `softmax(q k^T / sqrt(D / heads)) v` for each head. Its gradient is derived by hand.
 *
 * @param qkv `[B, N, 3D]` float32; the last axis is (query, key, value) x head x channel, as in timm
 * @param heads divides D
 * @returns `[B, N, D]`; the caller disposes of it
 * @throws DmaeError "shape" if `qkv` has another rank or a width that `3 * heads` does not divide
 */
export function attention(qkv: tf.Tensor, heads: number): tf.Tensor {
  const width = qkv.shape[2];
  if (qkv.rank !== 3 || !Number.isInteger(heads) || heads < 1 || width! % (3 * heads) !== 0)
    throw new DmaeError(
      "shape",
      `attention: qkv must be [B, N, 3D] with D a multiple of heads, got [${qkv.shape}] and ${heads} heads`,
    );
  return tf.tidy(() => runComposite(kernel, { qkv }, { heads })[0]!);
}
