import { gemm } from "../build.ts";
import { float, type Graph, type Value } from "../graph.ts";
import type { Kernels } from "./register.ts";

/**
 * The domain of operations that are still whole: `lower.ts` turns each into ONNX Runtime's fused
 * operator, or into plain ones where a gradient needs the parts.
 */
export const COMPOSITE = "dmae";

function layerNorm(g: Graph, x: Value, gain: Value, bias: Value, epsilon: number): Value[] {
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
  DmaeLayerNormGrad: (g, { x, gain, mean, inverseStd, dy }) =>
    g.addNode(
      "LayerNormGrad",
      [x!, gain!, mean!, inverseStd!, dy!],
      {},
      [
        { shape: x!.shape, dtype: "float32" },
        { shape: gain!.shape, dtype: "float32" },
        { shape: gain!.shape, dtype: "float32" },
      ],
      COMPOSITE,
    ),
  DmaeGelu: (g, { x }) => g.add("Gelu", [x!], {}, x!.shape, "float32", COMPOSITE),
  DmaeGeluGrad: (g, { x, dy }) => g.add("GeluGrad", [x!, dy!], {}, x!.shape, "float32", COMPOSITE),
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
