import { backend_util } from "@tensorflow/tfjs-core";
import {
  binary,
  cast,
  concat,
  like,
  matmul,
  reduce,
  reshape,
  slice,
  unary,
} from "../graph/build.ts";
import { float, type Graph, sizeOf, type Value } from "../graph/graph.ts";
import { refuseUnsupported } from "../graph/refuse.ts";
import { notOnBools, throughFloats, throughIntegers } from "./dtypes.ts";
import {
  type Inputs,
  type KernelAttributes,
  type Kernels,
  normalizeAxes,
  type Translate,
} from "./register.ts";

const allAxes = (x: Value) => x.shape.map((_, i) => i);

const axesOf = (x: Value, axis: number | number[] | null | undefined) =>
  axis == null ? allAxes(x) : normalizeAxes(axis, x.shape.length);

const reduction =
  (op: "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd"): Translate =>
  (g, { x }, { axis, keepDims }) => {
    const numeric = x!.dtype === "bool" ? cast(g, x!, "int32") : x!;
    return reduce(g, op, numeric, axesOf(x!, axis), keepDims);
  };

const logical =
  (op: "ReduceMax" | "ReduceMin"): Translate =>
  (g, { x }, { axis, keepDims }) =>
    cast(g, reduce(g, op, cast(g, x!, "int32"), axesOf(x!, axis), keepDims), "bool");

const argument =
  (op: "ArgMax" | "ArgMin"): Translate =>
  (g, { x }, { axis }) => {
    const [at] = axesOf(x!, axis);
    const shape = x!.shape.filter((_, i) => i !== at);
    if (x!.shape[at!] === 0) return g.splat("int32", shape, 0);
    const numeric = x!.dtype === "bool" ? cast(g, x!, "int32") : x!;
    return cast(g, g.add(op, [numeric], { axis: at!, keepdims: 0 }), "int32");
  };

const softmax = (g: Graph, op: "Softmax" | "LogSoftmax", x: Value, axis: number): Value =>
  g.add(op, [x], { axis: normalizeAxes(axis, x.shape.length)[0]! });

/** The activation that fused kernels of TensorFlow.js apply to their result. */
export function activate(
  g: Graph,
  x: Value,
  activation: string | undefined,
  weights: Value | undefined,
  leakyreluAlpha: number | undefined,
): Value {
  switch (activation) {
    case "relu":
      return unary(g, "Relu", x);
    case "relu6":
      return binary(g, "Min", unary(g, "Relu", x), like(g, x, 6));
    case "elu":
      return g.add("Elu", [x], { alpha: float(1) });
    case "sigmoid":
      return unary(g, "Sigmoid", x);
    case "leakyrelu":
      return g.add("LeakyRelu", [x], { alpha: float(leakyreluAlpha ?? 0.2) });
    case "prelu":
      return g.add("PRelu", [x, weights!]);
    default:
      return x;
  }
}

function cumulative(g: Graph, x: Value, axis: number, exclusive: boolean, reverse: boolean): Value {
  const at = g.scalar("int32", axis);
  const attributes = { exclusive: Number(exclusive), reverse: Number(reverse) };
  return g.add("CumSum", [x, at], attributes);
}

function cumulativeProduct(
  g: Graph,
  x: Value,
  axis: number,
  exclusive: boolean,
  reverse: boolean,
): Value {
  const length = x.shape[axis]!;
  if (length === 0) return x;
  const part = (i: number) => {
    const begin = x.shape.map((_, d) => (d === axis ? i : 0));
    return slice(
      g,
      x,
      begin,
      x.shape.map((d, j) => (j === axis ? 1 : d)),
    );
  };
  const order = Array.from({ length }, (_, i) => (reverse ? length - 1 - i : i));
  const results = new Array<Value>(length);
  let product: Value | null = null;
  for (const i of order) {
    const factor = part(i);
    const next: Value = product ? binary(g, "Mul", product, factor) : factor;
    results[i] = exclusive ? (product ?? g.splat(x.dtype, factor.shape, 1)) : next;
    product = next;
  }
  return concat(g, results, axis);
}

function topK(g: Graph, x: Value, k: number, sorted: boolean): Value[] {
  if (x.dtype === "bool") {
    const [values, indices] = topK(g, cast(g, x, "int32"), k, sorted);
    return [cast(g, values!, "bool"), indices!];
  }
  const attributes = { axis: x.shape.length - 1, largest: 1, sorted: Number(sorted) } as const;
  const [values, indices] = g.addAll("TopK", [x, g.integers([k])], attributes);
  return [values!, cast(g, indices!, "int32")];
}

/** Histogram of integers in [0, size), weighted, in the dtype of the weights; rows of a matrix apart. */
function histogram(g: Graph, x: Value, weights: Value, size: number, binaryOutput: boolean): Value {
  const bins = g.constant(
    "int32",
    [size],
    Int32Array.from({ length: size }, (_, i) => i),
  );
  const column = reshape(g, cast(g, x, "int32"), [...x.shape, 1]);
  const dtype = weights.dtype === "bool" ? "int32" : weights.dtype;
  const hits = cast(g, binary(g, "Equal", column, bins), dtype);
  const axis = x.shape.length - 1;
  if (binaryOutput) return cast(g, reduce(g, "ReduceMax", hits, [axis]), weights.dtype);
  if (weights.dtype === "bool")
    refuseUnsupported(
      "sums of bools leave 0 and 1 in TensorFlow.js; cast the weights to int32 first",
    );
  const weighted =
    sizeOf(weights.shape) > 0 ? binary(g, "Mul", hits, reshape(g, weights, [...x.shape, 1])) : hits;
  return reduce(g, "ReduceSum", weighted, [axis]);
}

function einsum(g: Graph, operands: readonly Value[], equation: string): Value {
  backend_util.decodeEinsumEquation(equation, operands.length); // refuses what is no equation
  return g.add("Einsum", operands, { equation });
}

function batchNorm(g: Graph, inputs: Inputs, { varianceEpsilon }: KernelAttributes): Value {
  const { x, scale, offset, mean, variance } = inputs;
  const epsilon = like(g, x!, varianceEpsilon ?? 0.001);
  const std = unary(g, "Sqrt", binary(g, "Add", variance!, epsilon));
  const normalized = binary(g, "Div", binary(g, "Sub", x!, mean!), std);
  const scaled = scale ? binary(g, "Mul", normalized, scale) : normalized;
  return offset ? binary(g, "Add", scaled, offset) : scaled;
}

/** Matrix products, reductions, softmax, sorting. */
export const contraction: Kernels = {
  BatchMatMul: (g, { a, b }, { transposeA, transposeB }) =>
    matmul(g, a!, b!, transposeA ?? false, transposeB ?? false),
  _FusedMatMul: (g, { a, b, bias, preluActivationWeights }, attrs) => {
    const product = matmul(g, a!, b!, attrs.transposeA ?? false, attrs.transposeB ?? false);
    const sum = bias ? binary(g, "Add", product, bias) : product;
    return activate(g, sum, attrs.activation, preluActivationWeights, attrs.leakyreluAlpha);
  },
  Einsum: notOnBools((g, inputs, { equation }) => einsum(g, Object.values(inputs), equation)),
  Sum: (g, inputs, attrs) => reduction("ReduceSum")(g, inputs, attrs),
  Mean: (g, { x }, { axis, keepDims }) =>
    reduce(g, "ReduceMean", cast(g, x!, "float32"), axesOf(x!, axis), keepDims),
  Max: throughIntegers(
    (g, inputs, { reductionIndices, axis, keepDims }) =>
      reduction("ReduceMax")(g, inputs, { axis: reductionIndices ?? axis, keepDims }),
    "bool",
  ),
  Min: throughIntegers(reduction("ReduceMin"), "bool"),
  Prod: reduction("ReduceProd"),
  All: logical("ReduceMin"),
  Any: logical("ReduceMax"),
  ArgMax: argument("ArgMax"),
  ArgMin: argument("ArgMin"),
  Softmax: (g, { logits }, { dim }) => softmax(g, "Softmax", logits!, dim),
  LogSoftmax: (g, { logits }, { axis }) =>
    softmax(g, "LogSoftmax", cast(g, logits!, "float32"), axis),
  Cumsum: throughIntegers(
    (g, { x }, { axis, exclusive, reverse }) =>
      cumulative(g, x!, normalizeAxes(axis, x!.shape.length)[0]!, exclusive, reverse),
    "int32",
  ),
  Cumprod: throughIntegers(
    (g, { x }, { axis, exclusive, reverse }) =>
      cumulativeProduct(g, x!, normalizeAxes(axis, x!.shape.length)[0]!, exclusive, reverse),
    "int32",
  ),
  TopK: (g, { x }, { k, sorted }) => topK(g, x!, k, sorted),
  DenseBincount: (g, { x, weights }, { size, binaryOutput }) =>
    histogram(g, x!, weights!, size, binaryOutput ?? false),
  Bincount: (g, { x, weights }, { size }) => histogram(g, x!, weights!, size, false),
  FusedBatchNorm: notOnBools(throughFloats(batchNorm)),
};
