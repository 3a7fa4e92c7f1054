import {
  type ActivationRange,
  checkMatch,
  checkQuantization,
  type Quantization,
} from "../check-quantization.ts";
import { MICROSOFT } from "./build.ts";
import { type Graph, liveNodes, type Node, type Value } from "./graph.ts";
import { type Program, rebuild } from "./optimize.ts";

/** A matrix product with constant weights that is worth quantizing. */
export interface Candidate {
  readonly name: string;
  readonly node: Projection;
}

/** Smaller products stay float32: the conversion would cost more than it saves. */
const SMALLEST = { inputs: 32, outputs: 32, weights: 4096 };

/** The matrix products of a program that can run in int8, in order. */
export function candidates({ graph, outputs }: Program): Candidate[] {
  const found: Candidate[] = [];
  for (const node of liveNodes(graph, outputs)) {
    if (!isCandidate(node)) continue;
    const { name } = node.inputs[1]!;
    found.push({ name: name ?? `product ${found.length}`, node });
  }
  return found;
}

function isCandidate(node: Node): node is Projection {
  const [, weight, bias] = node.inputs;
  if (!weight?.constant || weight.splat) return false;
  if (bias && (!bias.constant || bias.shape.length !== 1)) return false;
  if (!isProjection(node)) return false;
  const [inputs, outputs] = dimensions(node);
  const { inputs: i, outputs: o, weights } = SMALLEST;
  return inputs >= i && outputs >= o && inputs * outputs >= weights;
}

type Projection = Extract<Node, { op: "Gemm" } | { op: "Attention"; domain: typeof MICROSOFT }>;

/** A product without factors, or the projection of attention. */
function isProjection(node: Node): node is Projection {
  if (node.op !== "Gemm") return node.op === "Attention" && node.domain === MICROSOFT;
  const { alpha, beta, transA } = node.attributes;
  return alpha.float === 1 && beta.float === 1 && transA === 0;
}

const isTransposed = (node: Projection) => node.op === "Gemm" && node.attributes.transB === 1;

function dimensions(node: Projection): [inputs: number, outputs: number] {
  const [rows, columns] = node.inputs[1]!.shape as [number, number];
  return isTransposed(node) ? [columns, rows] : [rows, columns];
}

/**
 * Replaces the products that `quantization` has ranges for: activations are quantized with their fixed
 * scale, weights are int8 constants with one scale per output channel. Every range must have its product.
 */
export function quantizeProgram(
  caller: string,
  program: Program,
  quantization: Quantization,
): Program {
  checkQuantization(caller, quantization);
  const products = candidates(program);
  checkMatch(
    caller,
    products.map(({ name }) => name),
    quantization,
  );
  const ranges = new Map<Node, ActivationRange>();
  for (const { name, node } of products) {
    const range = quantization.ranges[name];
    if (range) ranges.set(node, range);
  }
  return rebuild(program, ({ g }, node, inputs) => {
    const range = ranges.get(node);
    if (!range || !isProjection(node)) return null;
    const operands = quantizeOperands(g, node, inputs, range, quantization.weightBits);
    const isProduct = node.op === "Gemm";
    return [isProduct ? product(g, operands) : attention(g, operands, node.attributes.num_heads)];
  });
}

/** Why no product of a function can run in int8, in words for an error. */
export function whyNoCandidates({ graph, outputs }: Program): string {
  const nodes = liveNodes(graph, outputs);
  const products = nodes.filter(({ op }) => /^(Gemm|MatMul|FusedMatMul|Attention)$/.test(op));
  const fixed = products.filter((node) => node.inputs[1]?.constant).length;
  const open = products.length - fixed;
  const convolutions = nodes.filter(({ op }) => /^Conv(Transpose)?$/.test(op)).length;
  const { inputs, outputs: least, weights } = SMALLEST;
  const reasons = [
    fixed > 0 &&
      `${fixed} are smaller than ${inputs} x ${least} or ${weights} weights, or carry a factor`,
    open > 0 && `${open} have weights that are computed or inputs: pass parameters as constants`,
    convolutions > 0 && "convolutions are not quantized",
  ];
  return reasons.filter(Boolean).join("; ") || "it has no products at all";
}

interface Operands {
  readonly x: Value;
  readonly scale: Value;
  readonly zeroPoint: Value;
  readonly weight: Value;
  readonly weightScales: Value;
  readonly bias: Value | null;
}

function quantizeOperands(
  g: Graph,
  node: Projection,
  inputs: readonly (Value | null)[],
  range: ActivationRange,
  weightBits: 7 | 8,
): Operands {
  const [x, weight, bias] = inputs as [Value, Value, Value | undefined];
  const { scale, zeroPoint } = activationScale(range);
  const [scaleValue, zeroValue] = [g.scalar("float32", scale), g.scalar("uint8", zeroPoint)];
  const [inputCount, outputCount] = dimensions(node);
  const { values, scales } = quantizeWeights(
    weight.constant as Float32Array,
    inputCount,
    outputCount,
    isTransposed(node),
    weightBits,
  );
  const name = weight.name ?? "weight";
  return {
    x: g.add("QuantizeLinear", [x, scaleValue, zeroValue], {}),
    scale: scaleValue,
    zeroPoint: zeroValue,
    weight: g.constant("int8", [inputCount, outputCount], values, name),
    weightScales: g.constant("float32", [outputCount], scales, `${name}.scale`),
    bias: bias ?? null,
  };
}

function product(g: Graph, operands: Operands): Value {
  const { x, weight, scale, weightScales, zeroPoint, bias } = operands;
  const inputs = [x, weight, scale, weightScales, zeroPoint, null, ...(bias ? [bias] : [])];
  return g.add("com.microsoft:MatMulIntegerToFloat", inputs);
}

/** The projection of attention in integers; attention itself stays float32. */
function attention(g: Graph, operands: Operands, heads: number): Value {
  const { x, weight, scale, weightScales, zeroPoint, bias } = operands;
  const zeros = g.splat("int8", weightScales.shape, 0);
  const inputs = [x, weight, bias, scale, weightScales, null, zeroPoint, zeros];
  return g.add("com.microsoft:QAttention", inputs, { num_heads: heads });
}

/** Scale and zero point of unsigned 8-bit values over a range, which is widened to hold 0. */
export function activationScale({ min, max }: ActivationRange): {
  scale: number;
  zeroPoint: number;
} {
  const low = Math.min(min, 0);
  const high = Math.max(max, 0);
  const scale = Math.fround((high - low) / 255) || 1;
  return { scale, zeroPoint: Math.max(0, Math.min(255, Math.round(-low / scale))) };
}

/** Symmetric integers, one scale for each output channel; `[inputs, outputs]` row-major. */
export function quantizeWeights(
  data: Float32Array,
  inputs: number,
  outputs: number,
  transposed: boolean,
  bits: 7 | 8,
): { values: Int8Array; scales: Float32Array } {
  const largest = bits === 7 ? 63 : 127;
  const values = new Int8Array(inputs * outputs);
  const scales = new Float32Array(outputs);
  const at = transposed
    ? (i: number, o: number) => data[o * inputs + i]!
    : (i: number, o: number) => data[i * outputs + o]!;
  for (let o = 0; o < outputs; o++) {
    let peak = 0;
    for (let i = 0; i < inputs; i++) peak = Math.max(peak, Math.abs(at(i, o)));
    const scale = Math.fround(peak / largest) || 1;
    scales[o] = scale;
    for (let i = 0; i < inputs; i++) values[i * outputs + o] = Math.round(at(i, o) / scale);
  }
  return { values, scales };
}
