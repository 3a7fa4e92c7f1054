import { COMPOSITE } from "../ops/composite.ts";
import { lowerStep } from "../ops/elementwise.ts";
import {
  beforeReshape,
  binary,
  concat,
  gemm,
  like,
  matmul,
  reduce,
  reshape,
  split,
  transpose,
  unary,
} from "./build.ts";
import { float, type Graph, type Node, type Value } from "./graph.ts";

/** What lowering wants to know about the rest of the program. */
export interface Surroundings {
  /** Whether output i is read: attention whose probabilities nobody reads becomes a fused operator. */
  used(output: number): boolean;
  /** Whether a gradient of the same input exists, which shares intermediate values, or a kernel computes them. */
  readonly inParts: boolean;
}

/** Turns a composite operation into ONNX operators on `g`; null for what only kernels compute. */
export function lowerComposite(
  g: Graph,
  node: Node,
  inputs: readonly Value[],
  { used, inParts }: Surroundings,
): Value[] | null {
  if (node.domain !== COMPOSITE) return null;
  switch (node.op) {
    case "Gelu":
      return [(inParts ? geluForTraining : gelu)(g, inputs[0]!)];
    case "GeluGrad":
      return [geluGrad(g, inputs[0]!, inputs[1]!)];
    case "Step":
      return [lowerStep(g, inputs[0]!)];
    case "LayerNormGrad":
      return layerNormGrad(g, inputs);
    case "Attention":
      return (used(1) ? attention : fusedAttention)(g, inputs[0]!, node.attributes.heads);
    case "AttentionGrad":
      return [attentionGrad(g, inputs, node.attributes.heads)];
    default:
      return null;
  }
}

const gelu = (g: Graph, x: Value) => g.add("Gelu", [x], { approximate: "none" });

/** t = x / sqrt 2 and s = 1 + erf t, which the gradient shares. */
function geluParts(g: Graph, x: Value): { t: Value; s: Value } {
  const t = binary(g, "Mul", x, like(g, x, Math.SQRT1_2));
  return { t, s: binary(g, "Add", unary(g, "Erf", t), like(g, x, 1)) };
}

/** The same as {@link gelu} from parts; the factors move into the matrix products around it. */
function geluForTraining(g: Graph, x: Value): Value {
  const { t, s } = geluParts(g, x);
  return binary(g, "Mul", binary(g, "Mul", t, s), like(g, x, Math.SQRT1_2));
}

/**
 * dy (Phi(x) + x phi(x)) in few passes: twice the bracket is s + (2 / sqrt pi) t exp(-t^2), and the
 * constant goes into the exponent.
 */
function geluGrad(g: Graph, x: Value, dy: Value): Value {
  const { t, s } = geluParts(g, x);
  const exponent = binary(
    g,
    "Sub",
    like(g, x, Math.log(2 / Math.sqrt(Math.PI))),
    binary(g, "Mul", t, t),
  );
  const density = binary(g, "Mul", t, unary(g, "Exp", exponent));
  const half = binary(g, "Mul", dy, like(g, x, 0.5));
  return binary(g, "Mul", half, binary(g, "Add", s, density));
}

/** The gradients of a layer normalisation by x, gain and bias; x and dy are matrices. */
function layerNormGrad(g: Graph, inputs: readonly Value[]): Value[] {
  const [x, gain, mean, inverseStd, dy] = inputs as [Value, Value, Value, Value, Value];
  const width = gain.shape[0]!;
  const h = binary(g, "Mul", binary(g, "Sub", x, mean), inverseStd);
  const dyh = binary(g, "Mul", dy, h);
  const column = reshape(g, gain, [width, 1]);
  const meanWithGain = (v: Value) => gemm(g, v, column, false, false, null, 1 / width);
  const scaled = binary(g, "Mul", dy, gain);
  const correction = binary(g, "Mul", h, meanWithGain(dyh));
  const centred = binary(g, "Sub", binary(g, "Sub", scaled, correction), meanWithGain(dy));
  const dx = binary(g, "Mul", centred, inverseStd);
  return [dx, reduce(g, "ReduceSum", dyh, [0]), reduce(g, "ReduceSum", dy, [0])];
}

/**
 * `[B, N, parts * H * d]` -> `parts` values `[B, H, N, d]`. Of rank 4 with the outer and the last axis in place: ONNX Runtime
 * moves that twice as fast as the same rows through five axes.
 */
function splitHeads(g: Graph, x: Value, parts: number, heads: number): Value[] {
  const [batch, tokens, width] = x.shape as [number, number, number];
  const all = parts * heads;
  const apart = reshape(g, x, [batch, tokens, all, width / all]);
  return split(g, transpose(g, apart, [0, 2, 1, 3]), Array<number>(parts).fill(heads), 1);
}

/** The inverse of {@link splitHeads}. */
function joinHeads(g: Graph, parts: readonly Value[]): Value {
  const joined = transpose(g, concat(g, parts, 1), [0, 2, 1, 3]);
  const [batch, tokens, all, size] = joined.shape as [number, number, number, number];
  return reshape(g, joined, [batch, tokens, all * size]);
}

function scaledMatmul(
  g: Graph,
  a: Value,
  b: Value,
  transA: boolean,
  transB: boolean,
  alpha: number,
): Value {
  const attributes = { alpha: float(alpha), transA: Number(transA), transB: Number(transB) };
  return g.add("com.microsoft:FusedMatMul", [a, b], attributes);
}

function attention(g: Graph, qkv: Value, heads: number): Value[] {
  const [q, k, v] = splitHeads(g, qkv, 3, heads) as [Value, Value, Value];
  const scores = scaledMatmul(g, q, k, false, true, 1 / Math.sqrt(q.shape[3]!));
  const probabilities = g.add("Softmax", [scores], { axis: 3 });
  return [joinHeads(g, [matmul(g, probabilities, v)]), probabilities];
}

/**
 * ONNX Runtime's own operator: with the projection in front where its weights are constants, else on
 * queries, keys and values apart.
 */
function fusedAttention(g: Graph, qkv: Value, heads: number): Value[] {
  const [batch, tokens, width] = qkv.shape as [number, number, number];
  const projection = beforeReshape(qkv)?.node ?? null;
  if (isConstantProjection(projection)) {
    const [x, weight, bias] = projection.inputs as [Value, Value, Value];
    const inputs = [
      reshape(g, x, [batch, tokens, x.shape[1]!]),
      transpose(g, weight, [1, 0]),
      bias,
    ];
    return [g.add("com.microsoft:Attention", inputs, { num_heads: heads })];
  }
  const parts = split(g, qkv, Array<number>(3).fill(width / 3), 2);
  return [g.add("com.microsoft:MultiHeadAttention", parts, { num_heads: heads })];
}

function isConstantProjection(node: Node | null): node is Node {
  if (node?.op !== "Gemm" || node.inputs.length !== 3) return false;
  const { transA, transB, alpha, beta } = node.attributes;
  return (
    node.inputs[1]!.constant !== null &&
    node.inputs[2]!.constant !== null &&
    transA === 0 &&
    transB === 1 &&
    alpha.float === 1 &&
    beta.float === 1
  );
}

function attentionGrad(g: Graph, inputs: readonly Value[], heads: number): Value {
  const [qkv, y, p, dy] = inputs as [Value, Value, Value, Value];
  const [q, k, v] = splitHeads(g, qkv, 3, heads) as [Value, Value, Value];
  const [out] = splitHeads(g, dy, 1, heads) as [Value];
  const dp = matmul(g, out, v, false, true);
  const rowSum = reduce(g, "ReduceSum", binary(g, "Mul", dp, p), [3], true);
  void y;
  const dScores = binary(g, "Mul", p, binary(g, "Sub", dp, rowSum));
  const scale = 1 / Math.sqrt(q.shape[3]!);
  const dq = scaledMatmul(g, dScores, k, false, false, scale);
  const dk = scaledMatmul(g, dScores, q, true, false, scale);
  const dv = matmul(g, p, out, true, false);
  return joinHeads(g, [dq, dk, dv]);
}
