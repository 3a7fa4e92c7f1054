import {
  evaluateBinary,
  evaluateUnary,
  isFoldable,
  transposeData,
  uniformValue,
} from "./evaluate.ts";
import {
  type ElementType,
  float,
  type Graph,
  onnxType,
  sameShape,
  sizeOf,
  type Value,
} from "./graph.ts";
import { type HalfType, toHalf } from "./half-numbers.ts";
import { type Binary, outputsOf, type Reduction, type Unary } from "./operators.ts";
import { refuseUnsupported } from "./refuse.ts";
import {
  broadcastShape,
  joinedShape,
  productShape,
  reducedShape,
  requireBlock,
  requireIndices,
  requirePaddings,
  requireParts,
} from "./shape-rules.ts";

/** The domain of ONNX Runtime's own operators. */
export const MICROSOFT = "com.microsoft";

/** The domain of generated operators; `session.c` registers them under it. */
export const KERNELS = "dmae.kernels";

/** An elementwise operator of one operand. */
export function unary(g: Graph, op: Unary, x: Value): Value {
  const { dtype } = outputsOf(op, [x], {})[0]!;
  if (x.constant && isFoldable(x)) {
    const data = evaluateUnary(op, x.constant, dtype);
    if (data) return x.splat ? g.splat(dtype, x.shape, data[0]!) : g.constant(dtype, x.shape, data);
  }
  if (op === "Neg" && x.node?.op === "Neg") return x.node.inputs[0]!;
  const whole = beforeReshape(x);
  if (whole) return reshape(g, unary(g, op, whole), x.shape);
  return g.add(op, [x]);
}

/** An elementwise operator of two operands, broadcast; constants are folded, neutral ones dropped. */
export function binary(g: Graph, op: Binary, a: Value, b: Value): Value {
  const { shape, dtype } = outputsOf(op, [a, b], {})[0]!;
  const folded = foldBinary(g, op, a, b, shape, dtype);
  if (folded) return folded;
  const left = narrow(g, a, b, shape);
  const right = narrow(g, b, left, shape);
  const kept = neutral(op, left, right);
  if (kept) return expand(g, kept, shape);
  const sunk = sinkReshape(left, right, shape) ?? swap(sinkReshape(right, left, shape));
  if (!sunk) return g.add(op, [left, right]);
  const [x, y, target] = sunk;
  const fit = (v: Value) =>
    sameShape(v.shape, shape) && sizeOf(v.shape) !== 1 ? reshape(g, v, target) : v;
  // Not by `binary`: it might take out the reshape that `fit` has just put in, and so on for ever.
  const sides = [fit(x), fit(y)] as const;
  return reshape(g, g.add(op, sides), shape);
}

/** What a reshape reads, if it only joins or splits axes: operations can then come before it. */
export function beforeReshape(x: Value): Value | null {
  return x.node?.op === "Reshape" ? x.node.inputs[0]! : null;
}

type Sunk = readonly [Value, Value, readonly number[]];

const swap = (sunk: Sunk | null): Sunk | null => sunk && [sunk[1], sunk[0], sunk[2]];

/**
 * Does `op(reshape(x), y)` as `reshape(op(x, y))`, so that chains keep the form of the matrix products
 * that feed them: where y is one number, has the full shape, or is a vector along an unchanged last axis.
 */
function sinkReshape(left: Value, right: Value, shape: readonly number[]): Sunk | null {
  const source = beforeReshape(left);
  if (!source || !sameShape(left.shape, shape)) return null;
  const inner = source.shape;
  const last = shape.at(-1);
  const scalar = sizeOf(right.shape) === 1 && right.shape.length <= inner.length;
  const vector = right.shape.length === 1 && right.shape[0] === last && inner.at(-1) === last;
  const matched = beforeReshape(right)?.shape;
  const fits = inner.length < shape.length || (matched && sameShape(matched, inner));
  const whole = sameShape(right.shape, shape) && !right.constant && fits;
  return scalar || vector || whole ? [source, right, inner] : null;
}

function foldBinary(
  g: Graph,
  op: string,
  a: Value,
  b: Value,
  shape: readonly number[],
  dtype: ElementType,
): Value | null {
  if (!a.constant || !b.constant || !isFoldable(a) || !isFoldable(b)) return null;
  const uniform = uniformValue(a) !== null && uniformValue(b) !== null;
  const whole = (v: Value) => sameShape(v.shape, shape) && !v.splat;
  const one = (v: Value) => uniformValue(v) !== null;
  if (!uniform && !((whole(a) || one(a)) && (whole(b) || one(b)))) return null;
  const data = evaluateBinary(op, a.constant, b.constant, dtype);
  if (!data) return null;
  return uniform ? g.splat(dtype, shape, data[0]!) : g.constant(dtype, shape, data);
}

/** The smallest operand that still broadcasts to `shape` beside `other`. */
function narrow(g: Graph, x: Value, other: Value, shape: readonly number[]): Value {
  if (!sameShape(other.shape, shape)) return x;
  const fill = uniformValue(x);
  if (fill !== null) return g.scalar(x.dtype, fill);
  if (x.node?.op === "Expand") return x.node.inputs[0]!;
  return x;
}

/** The operand that the operation leaves as it is. */
function neutral(op: string, a: Value, b: Value): Value | null {
  const is = (v: Value, fill: number) => v.dtype !== "bool" && uniformValue(v) === fill;
  if (op === "Add") return is(b, 0) ? a : is(a, 0) ? b : null;
  if (op === "Mul") return is(b, 1) ? a : is(a, 1) ? b : null;
  if (op === "Sub") return is(b, 0) ? a : null;
  return op === "Div" && is(b, 1) ? a : null;
}

/** `condition ? a : b`, broadcast. */
export function where(g: Graph, condition: Value, a: Value, b: Value): Value {
  const shape = broadcastShape(broadcastShape(condition.shape, a.shape), b.shape);
  const small = (v: Value) => {
    const fill = uniformValue(v);
    return fill !== null && sameShape(condition.shape, shape) ? g.scalar(v.dtype, fill) : v;
  };
  if (a.dtype === "bool") {
    const asInt = (v: Value) => cast(g, v, "int32");
    return cast(g, where(g, condition, asInt(a), asInt(b)), "bool");
  }
  return g.add("Where", [condition, small(a), small(b)]);
}

/** Whether an element type is one of the two 16-bit floats. */
export const isHalf = (dtype: ElementType): dtype is HalfType =>
  dtype === "float16" || dtype === "bfloat16";

/** Converts the element type; float to int truncates. */
export function cast(g: Graph, x: Value, dtype: ElementType): Value {
  if (x.dtype === dtype) return x;
  const source = x.node?.op === "Cast" ? x.node.inputs[0]! : null;
  if (isHalf(dtype) && source?.dtype === dtype) return source; // its float32 holds the same numbers
  const whole = isHalf(dtype) ? beforeReshape(x) : null;
  if (whole) return reshape(g, cast(g, whole, dtype), x.shape);
  if (isHalf(dtype) && x.constant && x.dtype === "float32" && isFoldable(x)) {
    const data = toHalf(dtype, x.constant as Float32Array);
    return x.splat ? g.splat(dtype, x.shape, data[0]!) : g.constant(dtype, x.shape, data, x.name);
  }
  if (
    !isHalf(dtype) &&
    !isHalf(x.dtype) &&
    x.constant &&
    dtype !== "int64" &&
    x.dtype !== "int64" &&
    isFoldable(x)
  ) {
    const convert = (v: number) => (dtype === "bool" ? Number(v !== 0) : v);
    const source = x.constant as Float32Array;
    const data =
      dtype === "float32"
        ? Float32Array.from(source)
        : dtype === "int32"
          ? Int32Array.from(source)
          : Uint8Array.from(source, convert);
    return x.splat ? g.splat(dtype, x.shape, data[0]!) : g.constant(dtype, x.shape, data);
  }
  return g.add("Cast", [x], { to: onnxType(dtype) });
}

/** The same elements in another shape. */
export function reshape(g: Graph, x: Value, shape: readonly number[]): Value {
  if (sameShape(x.shape, shape)) return x;
  if (x.constant)
    return x.splat
      ? g.splat(x.dtype, shape, x.constant[0]!)
      : g.constant(x.dtype, shape, x.constant, x.name);
  if (x.node?.op === "Reshape") return reshape(g, x.node.inputs[0]!, shape);
  return g.add("Reshape", [x, g.integers(shape)]);
}

/** Permutes the axes; permutations in a row become one, and moving axes of length 1 is free. */
export function transpose(g: Graph, x: Value, permutation: readonly number[]): Value {
  const shape = permutation.map((p) => x.shape[p]!);
  const moved = permutation.filter((p) => x.shape[p] !== 1);
  if (moved.every((p, i) => i === 0 || p > moved[i - 1]!)) return reshape(g, x, shape);
  if (x.constant && (x.splat || sizeOf(x.shape) <= g.mostTransposed)) {
    if (x.splat) return g.splat(x.dtype, shape, x.constant[0]!);
    const data = transposeData(x.constant, x.shape, permutation, x.dtype);
    return g.constant(x.dtype, shape, data, x.name);
  }
  if (x.node?.op === "Transpose") {
    const inner = x.node.attributes.perm;
    return transpose(
      g,
      x.node.inputs[0]!,
      permutation.map((p) => inner[p]!),
    );
  }
  return g.add("Transpose", [x], { perm: [...permutation] });
}

/** Repeats along axes of length 1 (or new leading ones) up to `shape`. */
export function expand(g: Graph, x: Value, shape: readonly number[]): Value {
  if (sameShape(x.shape, shape)) return x;
  const fill = uniformValue(x);
  if (fill !== null) return g.splat(x.dtype, shape, fill);
  if (x.dtype === "bool") return cast(g, expand(g, cast(g, x, "int32"), shape), "bool");
  return g.add("Expand", [x, g.integers(shape)]);
}

/** Joins along `axis`. */
export function concat(g: Graph, parts: readonly Value[], axis: number): Value {
  joinedShape(
    parts.map((v) => v.shape),
    axis,
  );
  const some = parts.filter((v) => sizeOf(v.shape) > 0);
  const used = some.length > 0 ? some : parts.slice(0, 1);
  const first = used[0]!;
  if (used.length === 1) return first;
  return g.add("Concat", used, { axis });
}

/** The block that starts at `begin` and has `size`. */
export function slice(
  g: Graph,
  x: Value,
  begin: readonly number[],
  size: readonly number[],
  steps: readonly number[] = begin.map(() => 1),
): Value {
  requireBlock(x.shape, begin, size, steps);
  if (sameShape(x.shape, size) && steps.every((s) => s === 1)) return x;
  const axes = x.shape.map((_, i) => i).filter((i) => size[i] !== x.shape[i] || steps[i] !== 1);
  const fill = uniformValue(x);
  if (fill !== null) return g.splat(x.dtype, size, fill);
  const starts = axes.map((i) => begin[i]!);
  const ends = axes.map((i) => {
    const last = begin[i]! + size[i]! * steps[i]!;
    return steps[i]! < 0 && last < 0 ? -x.shape[i]! - 1 : last;
  });
  const stepsUsed = axes.map((i) => steps[i]!);
  const block = [starts, ends, axes, stepsUsed].map((numbers) => g.integers(numbers));
  return g.add("Slice", [x, ...block]);
}

/** Consecutive blocks of the given sizes along `axis`. */
export function split(g: Graph, x: Value, sizes: readonly number[], axis: number): Value[] {
  requireParts(x.shape, sizes, axis);
  if (sizes.length === 1) return [x];
  return g.addAll("Split", [x, g.integers(sizes)], { axis });
}

/** Pads with `fill`. */
export function pad(
  g: Graph,
  x: Value,
  paddings: readonly (readonly [number, number])[],
  fill: number,
): Value {
  requirePaddings(x.shape, paddings);
  if (paddings.every(([a, b]) => a === 0 && b === 0)) return x;
  if (x.dtype === "bool") return cast(g, pad(g, cast(g, x, "int32"), paddings, fill), "bool");
  const amounts = [...paddings.map(([a]) => a), ...paddings.map(([, b]) => b)];
  return g.add("Pad", [x, g.integers(amounts), g.scalar(x.dtype, fill)], { mode: "constant" });
}

/** A reduction over `axes`. */
export function reduce(
  g: Graph,
  op: Reduction,
  x: Value,
  axes: readonly number[],
  keepDims = false,
): Value {
  const shape = reducedShape(x.shape, axes, keepDims);
  if (axes.length === 0) return x;
  if (axes.some((a) => x.shape[a] === 0))
    return g.splat(x.dtype, shape, emptyReduction(op, x.dtype));
  if (axes.every((a) => x.shape[a] === 1)) return reshape(g, x, shape);
  const fill = uniformValue(x);
  if (fill !== null && op !== "ReduceSum" && op !== "ReduceProd")
    return g.splat(x.dtype, shape, fill);
  const sorted = [...axes].sort((a, b) => a - b);
  return g.add(op, [x, g.integers(sorted)], { keepdims: keepDims ? 1 : 0 });
}

/** A reduction of no elements: 0, or 1 for products; an extremum is NaN (0 as an integer), as in TensorFlow.js. */
function emptyReduction(op: Reduction, dtype: ElementType): number {
  if (op === "ReduceProd") return 1;
  return dtype === "float32" && (op === "ReduceMax" || op === "ReduceMin") ? Number.NaN : 0;
}

/** Elements of `x` along `axis` at integer `indices`. */
export function gather(g: Graph, x: Value, indices: Value, axis: number): Value {
  requireIndices(x.shape, indices, axis);
  return g.add("Gather", [x, indices], { axis });
}

const lastTwoSwapped = (rank: number) =>
  Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));

/** A batched matrix product; transposes of a side become part of the product. */
export function matmul(
  g: Graph,
  a: Value,
  b: Value,
  transposeA = false,
  transposeB = false,
): Value {
  const shape = productShape(a.shape, b.shape, transposeA, transposeB);
  if (a.dtype !== "float32") return integerProduct(g, a, b, transposeA, transposeB);
  const [left, flipLeft] = untranspose(a);
  const [right, flipRight] = untranspose(b);
  const transA = transposeA !== flipLeft;
  const transB = transposeB !== flipRight;
  if (right.shape.length === 2 && (left.shape.length === 2 || !transA)) {
    const k = left.shape.at(-1)!;
    const flat = left.shape.length === 2 ? left : reshape(g, left, [sizeOf(left.shape) / k, k]);
    return reshape(g, gemm(g, flat, right, transA, transB), shape);
  }
  if (!transA && !transB) return g.add("MatMul", [left, right]);
  const attributes = { alpha: float(1), transA: Number(transA), transB: Number(transB) };
  return g.add("com.microsoft:FusedMatMul", [left, right], attributes);
}

/** ONNX's Gemm knows floats only: integers are transposed apart, and summed modulo 2^32. */
function integerProduct(g: Graph, a: Value, b: Value, transA: boolean, transB: boolean): Value {
  if (a.dtype === "bool")
    refuseUnsupported("a product of bools counts beyond 1 in TensorFlow.js; cast to int32 first");
  const turned = (v: Value, t: boolean) =>
    t ? transpose(g, v, lastTwoSwapped(v.shape.length)) : v;
  return g.add("MatMul", [turned(a, transA), turned(b, transB)]);
}

function untranspose(x: Value): [Value, boolean] {
  if (x.node?.op !== "Transpose") return [x, false];
  const swapped = lastTwoSwapped(x.shape.length);
  if (!sameShape(x.node.attributes.perm, swapped)) return [x, false];
  return [x.node.inputs[0]!, true];
}

/** `alpha * op(a) op(b) + c` for matrices. */
export function gemm(
  g: Graph,
  a: Value,
  b: Value,
  transA: boolean,
  transB: boolean,
  c: Value | null = null,
  alpha = 1,
  beta = 1,
): Value {
  const attributes = {
    alpha: float(alpha),
    beta: float(beta),
    transA: Number(transA),
    transB: Number(transB),
  };
  return g.add("Gemm", c ? [a, b, c] : [a, b], attributes);
}

/** A constant of the same dtype. */
export const like = (g: Graph, x: Value, fill: number): Value => g.scalar(x.dtype, fill);
