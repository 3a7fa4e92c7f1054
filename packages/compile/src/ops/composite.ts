import { beforeReshape, gemm, reshape } from "../graph/build.ts";
import { float, type Graph, sizeOf, type Value } from "../graph/graph.ts";
import type { Kernels } from "./register.ts";

/**
 * The domain of operations that are still whole: `lower.ts` turns each into ONNX Runtime's fused
 * operator, or into plain ones where a gradient needs the parts.
 */
export const COMPOSITE = "dmae";

/** What `graph/windows.ts` makes of convolutions and pooling where kernels compute them. */
export const WINDOWS = {
  weights: "ConvolutionWeights",
  transposedWeights: "TransposedConvolutionWeights",
  convolution: "WindowConvolution",
  inputGradient: "WindowInputGradient",
  filterGradient: "WindowFilterGradient",
  maxPool: "WindowMaxPool",
  maxPoolGradient: "WindowMaxPoolGradient",
} as const;

/** The matrix `[rows, columns]` behind a reshape that keeps the last axis, else the value itself. */
function asMatrix(x: Value): Value {
  const source = beforeReshape(x);
  return source?.shape.length === 2 && source.shape[1] === x.shape.at(-1) ? source : x;
}

function layerNorm(g: Graph, x: Value, gain: Value, bias: Value, epsilon: number): Value[] {
  const matrix = asMatrix(x);
  if (matrix !== x) {
    const [y, mean, inverseStd] = layerNorm(g, matrix, gain, bias, epsilon);
    const column = [...x.shape.slice(0, -1), 1];
    return [reshape(g, y!, x.shape), reshape(g, mean!, column), reshape(g, inverseStd!, column)];
  }
  const attributes = { axis: -1, epsilon: float(epsilon), stash_type: 1 } as const;
  return g.addAll("LayerNormalization", [x, gain, bias], attributes);
}

/** The kernels of `@dmae/nn` (specified in its `kernels.ts`). */
export const composite: Kernels = {
  DmaeLinear: (g, { x, weight, bias }) => gemm(g, x!, weight!, false, true, bias ?? null),
  DmaeLayerNorm: (g, { x, gain, bias }, { epsilon }) => layerNorm(g, x!, gain!, bias!, epsilon),
  DmaeLayerNormGrad: (g, { x, gain, mean, inverseStd, dy }) => {
    const width = gain!.shape[0]!;
    const rows = sizeOf(x!.shape) / width;
    const matrix = (v: Value) => reshape(g, v, [rows, width]);
    const column = (v: Value) => reshape(g, v, [rows, 1]);
    const given = [matrix(x!), gain!, column(mean!), column(inverseStd!), matrix(dy!)];
    const [dx, dgain, dbias] = g.addAll("dmae:LayerNormGrad", given, {});
    return [reshape(g, dx!, x!.shape), dgain!, dbias!];
  },
  DmaeGelu: (g, { x }) => {
    const source = beforeReshape(x!) ?? x!;
    return reshape(g, g.add("dmae:Gelu", [source]), x!.shape);
  },
  DmaeGeluGrad: (g, { x, dy }) => {
    const source = beforeReshape(x!) ?? x!;
    const inputs = [source, reshape(g, dy!, source.shape)];
    return reshape(g, g.add("dmae:GeluGrad", inputs), x!.shape);
  },
  DmaeAttention: (g, { qkv }, { heads }) => g.addAll("dmae:Attention", [qkv!], { heads }),
  DmaeAttentionGrad: (g, { qkv, y, probabilities, dy }, { heads }) =>
    g.add("dmae:AttentionGrad", [qkv!, y!, probabilities!, dy!], { heads }),
};
