import { allocate, type ConstantData, type ElementType, type Operand, sizeOf } from "./tensors.ts";

/** Constants above this size are left for ONNX Runtime to fold. */
const LIMIT = 1 << 24;

/** True for a constant that can be computed with here. */
export const isFoldable = (value: Operand): boolean =>
  value.constant !== null && sizeOf(value.shape) <= LIMIT;

/** The elements of a constant, a splat written out. */
export function elements(value: Operand): ConstantData {
  if (value.constant === null) throw new Error("not a constant");
  if (!value.splat) return value.constant;
  const data = allocate(value.dtype, sizeOf(value.shape));
  data.fill(value.constant[0] as never);
  return data;
}

/** The value of a constant with one value everywhere, else null. */
export function uniformValue(value: Operand): number | null {
  if (value.constant === null) return null;
  return value.splat || value.constant.length === 1 ? Number(value.constant[0]) : null;
}

/** The values of a constant as numbers, or null. */
export const constantNumbers = (value: Operand): number[] | null =>
  value.constant ? Array.from(elements(value) as Float32Array, Number) : null;

const unaryFunctions: Record<string, (x: number) => number> = {
  Neg: (x) => -x,
  Abs: Math.abs,
  Exp: Math.exp,
  Log: Math.log,
  Sqrt: Math.sqrt,
  Reciprocal: (x) => 1 / x,
  Floor: Math.floor,
  Ceil: Math.ceil,
  Tanh: Math.tanh,
  Relu: (x) => Math.max(x, 0),
  Sin: Math.sin,
  Cos: Math.cos,
  Not: (x) => (x ? 0 : 1),
};

const binaryFunctions: Record<string, (a: number, b: number) => number> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Max: Math.max,
  Min: Math.min,
  Equal: (a, b) => Number(a === b),
  Greater: (a, b) => Number(a > b),
  GreaterOrEqual: (a, b) => Number(a >= b),
  Less: (a, b) => Number(a < b),
  LessOrEqual: (a, b) => Number(a <= b),
  And: (a, b) => a & b,
  Or: (a, b) => a | b,
};

/** Computes a unary operator on constant data, or null where it is not one of the known. */
export function evaluateUnary(
  op: string,
  data: ConstantData,
  dtype: ElementType,
): ConstantData | null {
  const fn = unaryFunctions[op];
  if (!fn || dtype === "int64") return null;
  const out = allocate(dtype, data.length);
  for (let i = 0; i < data.length; i++) out[i] = fn(Number(data[i])) as never;
  return out;
}

/** Computes a binary operator on constants of one shape or with one-element sides. */
export function evaluateBinary(
  op: string,
  a: ConstantData,
  b: ConstantData,
  outputType: ElementType,
): ConstantData | null {
  const fn = binaryFunctions[op];
  const integer = !(a instanceof Float32Array);
  if (!fn || a instanceof BigInt64Array || b instanceof BigInt64Array) return null;
  if (op === "Div" && integer) return null;
  const size = Math.max(a.length, b.length);
  if ((a.length !== size && a.length !== 1) || (b.length !== size && b.length !== 1)) return null;
  const out = allocate(outputType, size) as Float32Array;
  const multiply = op === "Mul" && integer ? Math.imul : fn;
  for (let i = 0; i < size; i++)
    out[i] = multiply(a[a.length === 1 ? 0 : i]!, b[b.length === 1 ? 0 : i]!);
  return out;
}

/** Transposes row-major data. */
export function transposeData(
  data: ConstantData,
  shape: readonly number[],
  permutation: readonly number[],
  dtype: ElementType,
): ConstantData {
  const outShape = permutation.map((p) => shape[p]!);
  const strides = stridesOf(shape);
  const steps = permutation.map((p) => strides[p]!);
  const out = allocate(dtype, data.length);
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from] as never;
    for (let d = outShape.length - 1; d >= 0; d--) {
      from += steps[d]!;
      if (++index[d]! < outShape[d]!) break;
      from -= steps[d]! * outShape[d]!;
      index[d] = 0;
    }
  }
  return out;
}

/** Row-major strides of a shape. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let d = shape.length - 2; d >= 0; d--) strides[d] = strides[d + 1]! * shape[d + 1]!;
  return strides;
}
