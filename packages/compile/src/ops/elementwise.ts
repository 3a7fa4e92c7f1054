import { type DataType, upcastType } from "@tensorflow/tfjs-core";
import { beforeReshape, binary, cast, like, reshape, unary, where } from "../graph/build.ts";
import { constantNumbers } from "../graph/evaluate.ts";
import { type ElementType, float, type Graph, type Value } from "../graph/graph.ts";
import type { Binary, Unary } from "../graph/operators.ts";
import {
  bySelfOnBools,
  converted,
  notOnBools,
  throughFloats,
  throughIntegers,
  toInteger,
} from "./dtypes.ts";
import type { Kernels, Translate } from "./register.ts";

const plain =
  (op: Unary): Translate =>
  (g, { x }) =>
    unary(g, op, x!);

/** Operators of ONNX that only know floats: integers take the way through float32. */
const onFloats =
  (op: Unary): Translate =>
  (g, { x }) =>
    unary(g, op, cast(g, x!, "float32"));

const arithmetic =
  (op: Binary): Translate =>
  (g, { a, b }) =>
    binary(g, op, a!, b!);

const comparison =
  (op: Binary): Translate =>
  (g, { a, b }) => {
    const asNumber = (v: Value) => (v.dtype === "bool" && op !== "Equal" ? cast(g, v, "int32") : v);
    return binary(g, op, asNumber(a!), asNumber(b!));
  };

const not = (g: Graph, x: Value) => unary(g, "Not", x);

/** The divisor with 1 for 0, and where it was 0: ONNX Runtime stops at integer divisions by zero. */
function safeDivisor(g: Graph, b: Value): { divisor: Value; isZero: Value } {
  const isZero = binary(g, "Equal", b, like(g, b, 0));
  return { divisor: where(g, isZero, like(g, b, 1), b), isZero };
}

/** Rounds the quotient down, as TensorFlow does; ONNX divides integers towards zero. x / 0 is 0. */
function floorDivide(g: Graph, a: Value, b: Value): Value {
  if (a.dtype === "float32") return toInteger(g, unary(g, "Floor", binary(g, "Div", a, b)));
  const { divisor, isZero } = safeDivisor(g, b);
  const quotient = binary(g, "Div", a, divisor);
  const rest = binary(g, "Sub", a, binary(g, "Mul", quotient, divisor));
  const zero = like(g, a, 0);
  const negative = (v: Value) => binary(g, "Less", v, zero);
  const signsDiffer = binary(g, "Xor", negative(rest), negative(divisor));
  const nonZero = not(g, binary(g, "Equal", rest, zero));
  const correct = cast(g, binary(g, "And", signsDiffer, nonZero), a.dtype);
  return where(g, isZero, zero, binary(g, "Sub", quotient, correct));
}

/** The remainder with the sign of the divisor; of a division by integer 0 it is 0. */
function modulo(g: Graph, a: Value, b: Value): Value {
  if (a.dtype === "int32") {
    const { divisor, isZero } = safeDivisor(g, b);
    return where(g, isZero, like(g, a, 0), binary(g, "Mod", a, divisor));
  }
  return binary(g, "Sub", a, binary(g, "Mul", b, unary(g, "Floor", binary(g, "Div", a, b))));
}

/** a^b; 0 to a negative power is infinite, which as an integer is 0. */
function power(g: Graph, a: Value, b: Value): Value {
  const result = binary(g, "Pow", a, b);
  if (a.dtype === "float32" || constantNumbers(b)?.every((n) => n >= 0)) return result;
  const negative = binary(g, "Less", b, like(g, b, 0));
  const infinite = binary(g, "And", binary(g, "Equal", a, like(g, a, 0)), negative);
  return where(g, infinite, like(g, a, 0), result);
}

function atan2(g: Graph, y: Value, x: Value): Value {
  const zero = like(g, x, 0);
  const is = (op: Binary, v: Value) => binary(g, op, v, zero);
  const angle = unary(g, "Atan", binary(g, "Div", y, x));
  const half = where(g, is("Less", y), like(g, y, -Math.PI), like(g, y, Math.PI));
  const left = binary(g, "Add", angle, half);
  const quarter = where(
    g,
    is("Greater", y),
    like(g, y, Math.PI / 2),
    where(g, is("Less", y), like(g, y, -Math.PI / 2), zero),
  );
  return where(g, is("Equal", x), quarter, where(g, is("Less", x), left, angle));
}

const square = (g: Graph, x: Value) => binary(g, "Mul", x, x);

/** log(1 + x) without losing small x: log(u) x / (u - 1) with u = 1 + x (Higham, section 1.14.1). */
function log1p(g: Graph, x: Value): Value {
  const u = binary(g, "Add", x, like(g, x, 1));
  const d = binary(g, "Sub", u, like(g, x, 1));
  const exact = binary(g, "Equal", d, like(g, x, 0));
  const far = not(g, binary(g, "Less", u, like(g, x, Number.POSITIVE_INFINITY)));
  const corrected = binary(g, "Mul", unary(g, "Log", u), binary(g, "Div", x, d));
  return where(g, exact, x, where(g, far, unary(g, "Log", u), corrected));
}

/** exp(x) - 1 without losing small x: (u - 1) x / log(u) with u = exp(x) (the same). */
function expm1(g: Graph, x: Value): Value {
  const u = unary(g, "Exp", x);
  const d = binary(g, "Sub", u, like(g, x, 1));
  const log = unary(g, "Log", u);
  const small = binary(g, "Less", unary(g, "Abs", x), like(g, x, 1));
  const exact = binary(g, "Equal", d, like(g, x, 0));
  const corrected = binary(g, "Div", binary(g, "Mul", d, x), log);
  return where(g, small, where(g, exact, x, corrected), d);
}

/** -1, 0 or 1; 0 for NaN, of which ONNX's Sign makes NaN. */
function sign(g: Graph, x: Value): Value {
  if (x.dtype !== "float32") return unary(g, "Sign", x);
  return where(g, unary(g, "IsNaN", x), like(g, x, 0), unary(g, "Sign", x));
}

/** 1 where positive, else `alpha`; kernels compute the gradient of ReLU, which is one with 0. */
function step(g: Graph, x: Value, alpha: number): Value {
  return x.dtype === "float32" && alpha === 0 ? wholeStep(g, x) : lowerStep(g, x, alpha);
}

/** {@link step} as one operation, in the form of what it is taken of. */
export function wholeStep(g: Graph, x: Value): Value {
  const source = beforeReshape(x) ?? x;
  return reshape(g, g.add("dmae:Step", [source]), x.shape);
}

/** {@link step} in ONNX's operators. */
export function lowerStep(g: Graph, x: Value, alpha = 0): Value {
  const positive = binary(g, "Greater", x, like(g, x, 0));
  const numbers = where(g, positive, like(g, x, 1), like(g, x, alpha));
  return x.dtype === "float32" ? where(g, unary(g, "IsNaN", x), x, numbers) : numbers;
}

function prelu(g: Graph, x: Value, alpha: Value): Value {
  const negative = binary(g, "Less", x, like(g, x, 0));
  return where(g, negative, binary(g, "Mul", x, alpha), x);
}

const zerosLike =
  (fill: number): Translate =>
  (g, { x }) =>
    g.splat(x!.dtype, x!.shape, fill);

/** Elementwise kernels: arithmetic, comparisons, selection, activations. */
export const elementwise: Kernels = {
  Abs: bySelfOnBools(plain("Abs")),
  Neg: bySelfOnBools(plain("Neg")),
  Sign: bySelfOnBools((g, { x }) => sign(g, x!)),
  Exp: onFloats("Exp"),
  Log: onFloats("Log"),
  Sqrt: onFloats("Sqrt"),
  Rsqrt: (g, { x }) => unary(g, "Reciprocal", unary(g, "Sqrt", cast(g, x!, "float32"))),
  Reciprocal: throughFloats(onFloats("Reciprocal")),
  Floor: (g, { x }) => (x!.dtype === "float32" ? unary(g, "Floor", x!) : x!),
  Ceil: (g, { x }) => (x!.dtype === "float32" ? unary(g, "Ceil", x!) : x!),
  Round: (g, { x }) => (x!.dtype === "float32" ? unary(g, "Round", x!) : x!),
  Erf: onFloats("Erf"),
  Sin: onFloats("Sin"),
  Cos: onFloats("Cos"),
  Tan: onFloats("Tan"),
  Asin: throughFloats(onFloats("Asin")),
  Acos: throughFloats(onFloats("Acos")),
  Atan: throughFloats(onFloats("Atan")),
  Sinh: throughFloats(onFloats("Sinh")),
  Cosh: onFloats("Cosh"),
  Tanh: onFloats("Tanh"),
  Asinh: throughFloats(onFloats("Asinh")),
  Acosh: throughFloats(onFloats("Acosh")),
  Atanh: throughFloats(onFloats("Atanh")),
  Expm1: throughFloats((g, { x }) => expm1(g, x!)),
  Log1p: throughFloats((g, { x }) => log1p(g, x!)),
  Sigmoid: onFloats("Sigmoid"),
  Softplus: throughFloats(onFloats("Softplus")),
  Relu: bySelfOnBools(plain("Relu")),
  Relu6: bySelfOnBools((g, { x }) => binary(g, "Min", unary(g, "Relu", x!), like(g, x!, 6))),
  LeakyRelu: (g, { x }, { alpha }) =>
    g.add("LeakyRelu", [cast(g, x!, "float32")], { alpha: float(alpha) }),
  Elu: (g, { x }) => g.add("Elu", [cast(g, x!, "float32")], { alpha: float(1) }),
  Selu: throughFloats(onFloats("Selu")),
  Prelu: (g, { x, alpha }) => prelu(g, cast(g, x!, "float32"), cast(g, alpha!, "float32")),
  EluGrad: (g, { dy, y }) => {
    const slope = binary(g, "Add", y!, like(g, y!, 1));
    const positive = not(g, binary(g, "Less", y!, like(g, y!, 0)));
    return where(g, positive, dy!, binary(g, "Mul", dy!, slope));
  },
  Step: throughIntegers((g, { x }, { alpha }) => step(g, x!, alpha), "bool"),
  Square: bySelfOnBools((g, { x }) => square(g, x!)),
  SquaredDifference: throughIntegers((g, { a, b }) => square(g, binary(g, "Sub", a!, b!)), "bool"),
  IsNan: (g, { x }) => unary(g, "IsNaN", cast(g, x!, "float32")),
  IsInf: (g, { x }) => unary(g, "IsInf", cast(g, x!, "float32")),
  IsFinite: (g, { x }) => {
    const size = unary(g, "Abs", cast(g, x!, "float32"));
    return binary(g, "Less", size, like(g, size, Number.POSITIVE_INFINITY));
  },
  ClipByValue: throughIntegers((g, { x }, { clipValueMin, clipValueMax }) => {
    const bounds = [like(g, x!, clipValueMin), like(g, x!, clipValueMax)];
    return g.add("Clip", [x!, ...bounds]);
  }, "bool"),
  Add: notOnBools(arithmetic("Add")),
  Sub: notOnBools(arithmetic("Sub")),
  Multiply: throughIntegers(arithmetic("Mul"), "bool"),
  RealDiv: throughFloats((g, { a, b }) => binary(g, "Div", a!, b!)),
  FloorDiv: throughIntegers((g, { a, b }) => floorDivide(g, a!, b!), "int32"),
  Mod: throughIntegers((g, { a, b }) => modulo(g, a!, b!), "bool"),
  Pow: throughIntegers((g, { a, b }) => power(g, a!, b!), "bool"),
  Maximum: throughIntegers(arithmetic("Max"), "int32"),
  Minimum: throughIntegers(arithmetic("Min"), "int32"),
  Atan2: throughFloats((g, { a, b }) => atan2(g, a!, b!)),
  AddN: notOnBools((g, inputs) =>
    Object.values(inputs).reduce((sum, v) => binary(g, "Add", sum, v)),
  ),
  Equal: comparison("Equal"),
  NotEqual: (g, { a, b }) => not(g, binary(g, "Equal", a!, b!)),
  Greater: comparison("Greater"),
  GreaterEqual: comparison("GreaterOrEqual"),
  Less: comparison("Less"),
  LessEqual: comparison("LessOrEqual"),
  LogicalAnd: (g, { a, b }) => binary(g, "And", a!, b!),
  LogicalOr: (g, { a, b }) => binary(g, "Or", a!, b!),
  LogicalXor: (g, { a, b }) => binary(g, "Xor", a!, b!),
  LogicalNot: (g, { x }) => not(g, x!),
  BitwiseAnd: (g, { a, b }) => binary(g, "BitwiseAnd", a!, b!),
  Select: (g, { condition, t, e }) => {
    const rank = t!.shape.length;
    const rows = condition!.shape.length < rank;
    const wide = rows
      ? reshape(g, condition!, [
          ...condition!.shape,
          ...Array<number>(rank - condition!.shape.length).fill(1),
        ])
      : condition!;
    const dtype = upcastType(t!.dtype as DataType, e!.dtype as DataType) as ElementType;
    return where(g, wide, cast(g, t!, dtype), cast(g, e!, dtype));
  },
  ZerosLike: zerosLike(0),
  OnesLike: zerosLike(1),
  Cast: (g, { x }, { dtype }) => converted(g, x!, dtype),
  Identity: (_, { x }) => x!,
};
