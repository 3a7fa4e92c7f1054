// A training step with int8 products, for the experiment of docs/decisions/int8-training.md: SwitchBack (Wortsman et
// al. 2023, arXiv:2304.13013) as a rewrite of the traced graph. Forward and input-gradient products are integers,
// weight gradients stay float32; activations and gradients have one scale each, weights one for each channel.
import {
  type Graph,
  liveNodes,
  type Node,
  type Value,
} from "../packages/compile/src/graph/graph.ts";
import { type Program, rebuild } from "../packages/compile/src/graph/optimize.ts";

type Gemm = Extract<Node, { op: "Gemm" }>;

/** The product reads a parameter: `x · wᵀ` (forward) or `dy · w` (gradient of its input). */
export interface Int8Product {
  node: Gemm;
  direction: "forward" | "input gradient";
}

/** Where the largest magnitudes of the quantized tensors come from. */
export type Scaling =
  /** Constants: no reduction at all, an upper bound on the speed. */
  | { kind: "fixed"; magnitudes: Float32Array }
  /**
   * `max(decay * before, headroom * now)` of the steps before, an input and an output of the step; `now` is read off
   * the integers, a quarter of the memory. Where they saturate it is `before`, and the next one grows.
   */
  | { kind: "delayed"; decay: number; headroom: number }
  /** Of the tensor itself, before it is quantized. */
  | { kind: "current" };

/** Input and output of the magnitudes under delayed scaling. */
export const MAGNITUDES = { input: "state:int8.magnitudes", output: "next:int8.magnitudes" };

const LEVELS = { activation: 127, weight: 63 };

/** The products that can be integers, in order. */
export function int8Products(program: Program): Int8Product[] {
  const found: Int8Product[] = [];
  for (const node of liveNodes(program.graph, program.outputs)) {
    const [x, weight, bias] = node.inputs;
    if (node.op !== "Gemm" || node.attributes.transA === 1) continue;
    if (!weight?.name || weight.node || weight.constant || x?.shape.length !== 2) continue;
    if (bias && bias.shape.length !== 1) continue;
    if (Math.min(...weight.shape) < 32) continue;
    const direction = node.attributes.transB === 1 ? "forward" : "input gradient";
    found.push({ node, direction });
  }
  return found;
}

/** The program with integer products; delayed scaling adds one input and one output. */
export function int8Program(program: Program, products: Int8Product[], scaling: Scaling): Program {
  const index = new Map<Node, number>(products.map(({ node }, i) => [node, i]));
  const next: Value[] = [];
  let before: Value[] | null = null;
  const rewritten = rebuild(program, ({ g }, node, inputs) => {
    const i = index.get(node);
    if (i === undefined) return null;
    if (scaling.kind === "delayed" && !before) before = magnitudesBefore(g, products.length);
    const x = inputs[0]!;
    const magnitude =
      scaling.kind === "fixed"
        ? g.scalar("float32", scaling.magnitudes[i]!)
        : scaling.kind === "current"
          ? magnitudeOf(g, x)
          : before![i]!;
    const { product, levels, scale } = integerProduct(g, node as Gemm, inputs, magnitude);
    if (scaling.kind === "delayed") {
      const decayed = times(g, magnitude, g.scalar("float32", scaling.decay));
      const now = times(
        g,
        times(g, largestLevel(g, levels), scale),
        g.scalar("float32", scaling.headroom),
      );
      next[i] = g.add("Max", [decayed, now]);
    }
    return [product];
  });
  if (scaling.kind !== "delayed") return rewritten;
  const { graph: g } = rewritten;
  const rows = next.map((value) => g.add("Reshape", [value, g.integers([1])]));
  const all = g.add("Concat", rows, { axis: 0 });
  return { graph: g, outputs: [...rewritten.outputs, all] };
}

/** The float32 program that also returns the magnitudes of what int8 would quantize. */
export function withMagnitudes(program: Program, products: Int8Product[]): Program {
  const { graph: g } = program;
  const rows = products.map(({ node }) =>
    g.add("Reshape", [magnitudeOf(g, node.inputs[0]!), g.integers([1])]),
  );
  const all = g.add("Concat", rows, { axis: 0 });
  return { graph: g, outputs: [...program.outputs, all] };
}

function magnitudesBefore(g: Graph, count: number): Value[] {
  const input = g.input(MAGNITUDES.input, "float32", [count]);
  return Array.from({ length: count }, (_, i) =>
    g.add("Gather", [input, g.scalar("int64", i)], { axis: 0 }),
  );
}

/** The largest magnitude of a matrix, without writing a matrix. */
function magnitudeOf(g: Graph, x: Value): Value {
  const all = { keepdims: 0 };
  const most = g.add("ReduceMax", [x], all);
  const least = g.add("ReduceMin", [x], all);
  return g.add("Max", [most, g.add("Neg", [least])]);
}

const times = (g: Graph, a: Value, b: Value) => g.add("Mul", [a, b]);

/** The largest distance of integers from their zero. */
function largestLevel(g: Graph, levels: Value): Value {
  const all = { keepdims: 0 };
  const float = (op: "ReduceMax" | "ReduceMin") =>
    g.add("Cast", [g.add(op, [levels], all)], { to: 1 });
  const zero = g.scalar("float32", 128);
  const up = g.add("Sub", [float("ReduceMax"), zero]);
  const down = g.add("Sub", [zero, float("ReduceMin")]);
  return g.add("Max", [up, down]);
}

function integerProduct(g: Graph, node: Gemm, inputs: (Value | null)[], magnitude: Value) {
  const [x, weight, bias] = inputs as [Value, Value, Value | undefined];
  const alpha = node.attributes.alpha.float;
  const beta = node.attributes.beta.float;
  const transposed = node.attributes.transB === 1;
  const zeroPoint = g.scalar("uint8", 128);
  const scale = g.add("Mul", [magnitude, g.scalar("float32", 1 / LEVELS.activation)]);
  const levels = g.add("QuantizeLinear", [x, scale, zeroPoint], {});
  const { integers, scales } = quantizedWeight(g, weight, transposed);
  const scaled = alpha === 1 ? scales : g.add("Mul", [scales, g.scalar("float32", alpha)]);
  const shift = bias && beta !== 1 ? g.add("Mul", [bias, g.scalar("float32", beta)]) : bias;
  const operands = [levels, integers, scale, scaled, zeroPoint, null, ...(shift ? [shift] : [])];
  const product = g.add("com.microsoft:MatMulIntegerToFloat", operands);
  return { product, levels, scale };
}

/**
 * `[inputs, outputs]` of the product, one scale for each output. ONNX Runtime's QuantizeLinear is slow with scales
 * along the last axis (and moves a Transpose past itself), so there the parameter is divided by its scales first.
 */
function quantizedWeight(g: Graph, weight: Value, transposed: boolean) {
  const [rows, columns] = weight.shape as [number, number];
  const size = transposed ? rows : columns;
  const magnitudes = g.add("Abs", [weight]);
  const axes = g.integers([transposed ? 1 : 0]);
  const largest = g.add("ReduceMax", [magnitudes, axes], { keepdims: 0 });
  const factor = g.scalar("float32", 1 / LEVELS.weight);
  const scales = g.add("Mul", [largest, factor]);
  if (transposed) {
    const zeros = g.splat("int8", [size], 0);
    const levels = g.add("QuantizeLinear", [weight, scales, zeros], { axis: 0 });
    return { integers: g.add("Transpose", [levels], { perm: [1, 0] }), scales };
  }
  const steps = g.add("Div", [weight, scales]);
  const unit = [g.scalar("float32", 1), g.scalar("int8", 0)];
  return { integers: g.add("QuantizeLinear", [steps, ...unit], {}), scales };
}
