import "#gradients";
import {
  engine,
  type GradFunc,
  getBackend,
  getGradient,
  getKernel,
  backend as initBackend,
  type NamedAttrMap,
  registerGradient,
  registerKernel,
  type Tensor,
  tidy,
} from "@tensorflow/tfjs-core";
import type { Tensors } from "./params.ts";

/*
 * The kernels of our own. Each operation below runs as ONE TensorFlow.js kernel, so a backend that
 * registers a kernel of this name (the tracing backend of @dmae/compile) receives one node with its
 * inputs and attributes; on any other backend the composition of ordinary ops beside the operation
 * is registered on first use. The backward kernels are run by hand-derived gradients, never taped.
 * All tensors are float32.
 *
 * DmaeLinear            {x [M, I], weight [O, I], bias? [O]}                      -> y [M, O]
 *     y = x weight^T + bias. Backward, ordinary kernels: dx = BatchMatMul(dy, weight),
 *     dweight = BatchMatMul(dy, x, transposeA), dbias = Sum(dy, axis 0).
 *
 * DmaeLayerNorm         {x [..., D], gain [D], bias [D]} {epsilon}
 *                                                -> [y [..., D], mean [..., 1], inverseStd [..., 1]]
 *     mean and biased variance over the last axis, inverseStd = 1 / sqrt(variance + epsilon),
 *     y = (x - mean) inverseStd gain + bias. The last two outputs are constants to the gradient.
 * DmaeLayerNormGrad     {x, gain, mean, inverseStd, dy [..., D]}
 *                                                -> [dx [..., D], dgain [D], dbias [D]]
 *     h = (x - mean) inverseStd, g = dy gain,
 *     dx = inverseStd (g - rowMean(g) - h rowMean(g h)), dgain = sum(dy h), dbias = sum(dy).
 *
 * DmaeBatchNorm         {x [..., C], gain [C], bias [C]} {epsilon}
 *                                                -> [y [..., C], mean [C], variance [C]]
 *     mean and biased variance over all axes but the last,
 *     y = (x - mean) / sqrt(variance + epsilon) gain + bias. The last two outputs are constants to the
 *     gradient.
 * DmaeBatchNormGrad     {x, gain, mean, variance, dy [..., C]} {epsilon}
 *                                                -> [dx [..., C], dgain [C], dbias [C]]
 *     h = (x - mean) / sqrt(variance + epsilon), dgain = sum(dy h), dbias = sum(dy), M values a channel,
 *     dx = gain / sqrt(variance + epsilon) (dy - dbias / M - h dgain / M).
 *
 * DmaeGelu              {x}                                                       -> y
 *     y = x Phi(x) = x/2 (1 + erf(x / sqrt 2)).
 * DmaeGeluGrad          {x, dy}                                                   -> dx
 *     dx = dy (Phi(x) + x phi(x)), phi(x) = exp(-x^2 / 2) / sqrt(2 pi).
 *
 * DmaeAttention         {qkv [B, N, 3D]} {heads}  -> [y [B, N, D], probabilities [B, H, N, N]]
 *     the last axis of qkv is (3, H, D/H): queries, keys, values as in timm;
 *     probabilities = softmax(q k^T / sqrt(D/H)), y = probabilities v, heads side by side.
 *     probabilities is a constant to the gradient; without a tape nobody reads it.
 * DmaeAttentionGrad     {qkv, y, probabilities, dy [B, N, D]} {heads}             -> dqkv [B, N, 3D]
 *     P = probabilities, dV = P^T dO, dP = dO V^T, dS = P (dP - rowSum(dO O)),
 *     dQ = dS K / sqrt(D/H), dK = dS^T Q / sqrt(D/H); rowSum(dO O) = rowSum(dP P).
 */

/** Names of the kernels that `nn` runs beside those of TensorFlow.js; `kernels.ts` specifies each. */
export const KERNELS = {
  linear: "DmaeLinear",
  layerNorm: "DmaeLayerNorm",
  layerNormGrad: "DmaeLayerNormGrad",
  batchNorm: "DmaeBatchNorm",
  batchNormGrad: "DmaeBatchNormGrad",
  gelu: "DmaeGelu",
  geluGrad: "DmaeGeluGrad",
  attention: "DmaeAttention",
  attentionGrad: "DmaeAttentionGrad",
} as const;

/** Attributes of a kernel of ours. */
export type Attributes = Record<string, number>;

/** A kernel, its composition of ordinary ops, and its gradient (forward kernels only). */
export interface CompositeKernel {
  readonly name: string;
  /** What the kernel computes, on a backend without a kernel of its own. */
  compose(inputs: Tensors, attributes: Attributes): Tensor[];
  readonly gradient?: {
    readonly inputsToSave?: string[];
    readonly outputsToSave?: boolean[];
    /** `saved`: inputs then outputs, as listed. Returns one function for each input. */
    backward(dy: Tensor, saved: Tensor[], attributes: Attributes): Record<string, () => Tensor>;
  };
}

/** Runs `kernel` on the current backend; under a tape it is one node. */
export function runComposite(
  kernel: CompositeKernel,
  inputs: Tensors,
  attributes: Attributes = {},
): Tensor[] {
  ensureRegistered(kernel);
  const result = engine().runKernel(kernel.name, inputs, attributes as NamedAttrMap);
  return Array.isArray(result) ? result : [result as Tensor];
}

function ensureRegistered(kernel: CompositeKernel): void {
  if (!getBackend()) initBackend();
  const backendName = getBackend();
  if (!getKernel(kernel.name, backendName)) {
    registerKernel({
      kernelName: kernel.name,
      backendName,
      // Tensors go in and come out: the engine passes ours through and wraps only bare infos.
      kernelFunc: ({ inputs, attrs }) =>
        tidy(() => kernel.compose(inputs as Tensors, (attrs ?? {}) as Attributes)),
    });
  }
  const gradient = kernel.gradient;
  if (gradient && !getGradient(kernel.name)) {
    const gradFunc: GradFunc = (dy, saved, attrs) =>
      gradient.backward((Array.isArray(dy) ? dy[0] : dy) as Tensor, saved, attrs as Attributes);
    registerGradient({
      kernelName: kernel.name,
      gradFunc,
      ...(gradient.inputsToSave ? { inputsToSave: gradient.inputsToSave } : {}),
      ...(gradient.outputsToSave ? { outputsToSave: gradient.outputsToSave } : {}),
    });
  }
}
