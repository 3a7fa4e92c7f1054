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
  const rows = [...x.shape.slice(0, -1), 1];
  return g.addNode(
    "LayerNormalization",
    [x, gain, bias],
    { axis: -1, epsilon: float(epsilon), stash_type: 1 },
    [
      { shape: x.shape, dtype: "float32" },
      { shape: rows, dtype: "float32" },
      { shape: rows, dtype: "float32" },
    ],
  );
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
    const [dx, dgain, dbias] = g.addNode(
      "LayerNormGrad",
      [matrix(x!), gain!, column(mean!), column(inverseStd!), matrix(dy!)],
      {},
      [
        { shape: [rows, width], dtype: "float32" },
        { shape: gain!.shape, dtype: "float32" },
        { shape: gain!.shape, dtype: "float32" },
      ],
      COMPOSITE,
    );
    return [reshape(g, dx!, x!.shape), dgain!, dbias!];
  },
  DmaeGelu: (g, { x }) => {
    const source = beforeReshape(x!) ?? x!;
    return reshape(g, g.add("Gelu", [source], {}, source.shape, "float32", COMPOSITE), x!.shape);
  },
  DmaeGeluGrad: (g, { x, dy }) => {
    const source = beforeReshape(x!) ?? x!;
    const inputs = [source, reshape(g, dy!, source.shape)];
    return reshape(g, g.add("GeluGrad", inputs, {}, source.shape, "float32", COMPOSITE), x!.shape);
  },
  DmaeAttention: (g, { qkv }, { heads }) => {
    const [batch, tokens, width] = qkv!.shape as [number, number, number];
    return g.addNode(
      "Attention",
      [qkv!],
      { heads },
      [
        { shape: [batch, tokens, width / 3], dtype: "float32" },
        { shape: [batch, heads, tokens, tokens], dtype: "float32" },
      ],
      COMPOSITE,
    );
  },
  DmaeAttentionGrad: (g, { qkv, y, probabilities, dy }, { heads }) =>
    g.add(
      "AttentionGrad",
      [qkv!, y!, probabilities!, dy!],
      { heads },
      qkv!.shape,
      "float32",
      COMPOSITE,
    ),
};
