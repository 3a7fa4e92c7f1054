import { constantNumbers as numbers } from "./evaluate.ts";
import * as shapes from "./shape-rules.ts";
import { elementTypeOf, type Operand, type OutputSpec, sizeOf } from "./tensors.ts";

/** A float attribute; plain numbers are integers. */
export interface FloatAttribute {
  readonly float: number;
}

/** Marks `value` as a float attribute. */
export const float = (value: number): FloatAttribute => ({ float: value });

/** One attribute of a node: an integer, integers, a string, a float. */
export type Attribute = number | string | Numbers | FloatAttribute;

type Numbers = readonly number[];
type None = Readonly<Record<string, never>>;

/** Channels in whole panels of weights (`PANEL` of convolution.h). */
export const panelOf = (channels: number): number => Math.ceil(channels / 16) * 16;

/** The outputs that follow from inputs and attributes; null where a shape is known only when the graph runs. */
type Rule<A> = (inputs: readonly Operand[], attributes: A) => readonly OutputSpec[] | null;

/** One operator of the set. */
interface Row<A> {
  /** The version of its schema: the operator set in which it last changed, up to the one that graphs are written in. */
  readonly since: number;
  /** Names of inputs and outputs: `?` may be left out, `...` stands for any number. */
  readonly signature: string;
  readonly rule: Rule<A>;
}

const row = <A = None>(since: number, signature: string, rule: Rule<A>): Row<A> => ({
  since,
  signature,
  rule,
});

type Words<S> = S extends `${infer First} ${infer Rest}` ? First | Words<Rest> : S;

/** Operators that differ in name only, by the version of their schemas. */
function family<const T extends Readonly<Record<number, string>>, A = None>(
  names: T,
  signature: string,
  rule: Rule<A>,
) {
  const rows = Object.entries(names).flatMap(([since, words]) =>
    words.split(" ").map((name) => [name, row(Number(since), signature, rule)] as const),
  );
  return Object.fromEntries(rows) as Readonly<Record<Words<T[keyof T]> & string, Row<A>>>;
}

const spec = ({ dtype }: Operand, shape: Numbers): OutputSpec => ({ shape, dtype });
const one = (x: Operand, shape: Numbers | null) => shape && [spec(x, shape)];
/** The first input's shape and dtype. */
const same: Rule<unknown> = ([x]) => [spec(x!, x!.shape)];
const like = <A = None>(since: number, signature = "x -> y") => row<A>(since, signature, same);
const broadcast = (operands: readonly Operand[]) =>
  operands.map(({ shape }) => shape).reduce(shapes.broadcastShape);

const unary = {
  ...family(
    {
      1: "Softplus",
      6: "Selu",
      7: "Acos Asin Atan Cos Sin Tan",
      9: "Acosh Asinh Atanh Cosh Sinh",
      11: "Round",
      13: "Abs Ceil Erf Exp Floor Log Neg Reciprocal Sigmoid Sign Sqrt Tanh",
      14: "Relu",
    },
    "x -> y",
    same as Rule<None>,
  ),
  ...family({ 1: "Not", 20: "IsInf IsNaN" }, "x -> y", ([x]) => [
    { shape: x!.shape, dtype: "bool" },
  ]),
};

const binary = {
  ...family(
    { 13: "Max Min Mod", 14: "Add Div Mul Sub", 15: "Pow", 18: "BitwiseAnd" },
    "a b -> y",
    (sides) => one(sides[0]!, broadcast(sides)),
  ),
  ...family(
    { 7: "And Or Xor", 13: "Greater Less", 16: "GreaterOrEqual LessOrEqual", 19: "Equal" },
    "a b -> y",
    (sides) => [{ shape: broadcast(sides), dtype: "bool" }],
  ),
};

const reductions = family(
  { 13: "ReduceSum", 18: "ReduceMean ReduceProd", 20: "ReduceMax ReduceMin" },
  "x axes? -> y",
  ([x, axes], { keepdims }: { readonly keepdims: number }) => {
    const gone = axes ? numbers(axes) : x!.shape.map((_, i) => i);
    return gone && one(x!, shapes.reducedShape(x!.shape, gone, keepdims === 1));
  },
);

interface Product {
  readonly alpha: FloatAttribute;
  readonly transA: number;
  readonly transB: number;
}
const product: Rule<Partial<Product>> = ([a, b], { transA, transB }) =>
  one(a!, shapes.productShape(a!.shape, b!.shape, transA === 1, transB === 1));

/** A window of ONNX: images have channels first, pads are top, left, bottom, right. */
interface Sliding {
  readonly pads: Numbers;
  readonly strides: Numbers;
}
interface Pooling extends Sliding {
  readonly kernel_shape: Numbers;
}
interface Convolution extends Sliding {
  readonly dilations: Numbers;
  readonly group: number;
}
const pooled = ({ shape }: Operand, { kernel_shape, strides, pads }: Pooling) => {
  const windows = (i: 0 | 1) =>
    Math.floor((shape[2 + i]! + pads[i]! + pads[2 + i]! - kernel_shape[i]!) / strides[i]!) + 1;
  return [...shape.slice(0, 2), windows(0), windows(1)];
};
const extent = (filter: Operand, { dilations }: Convolution) =>
  filter.shape.slice(2).map((d, i) => dilations[i]! * (d - 1) + 1);

/** A window of images with channels last, and the result's shape; pads are top, bottom, left, right. */
interface WholeWindow extends Sliding {
  readonly size: Numbers;
  readonly shape: Numbers;
}
const whole: Rule<WholeWindow> = ([x], { shape }) => one(x!, shape);

/** A window of matrices of pixels and channels: the number of images, and the fields of `Window` in convolution.h. */
export interface MatrixWindow {
  readonly images: number;
  readonly window: Numbers;
}
const overImage: Rule<MatrixWindow> = ([x], { images, window: [height, width, channels] }) =>
  one(x!, [images * height! * width!, channels!]);
const overWindows: Rule<MatrixWindow> = (
  [x],
  { images, window: [, , , height, width, channels] },
) => one(x!, [images * height! * width!, channels!]);

interface Axis {
  readonly axis: number;
}
interface Heads {
  readonly num_heads: number;
}
/** The projection of attention and what follows, as wide as a third of it. */
const attention: Rule<unknown> = ([x, weight]) => [
  { shape: [...x!.shape.slice(0, 2), weight!.shape[1]! / 3], dtype: "float32" },
];
/** A normalisation's result, and the means and inverse deviations of rows. */
const normalized = (x: Operand) => {
  const rows = spec(x, [...x.shape.slice(0, -1), 1]);
  return [spec(x, x.shape), rows, rows];
};

/**
 * Every operator that a graph may have, by its name, after its domain where that is not ONNX's. Only these can become nodes, with the
 * attributes given here; shapes and dtypes of the outputs follow from the rule. `dmae` holds what a later pass turns into
 * operators or kernels.
 */
export const OPERATORS = {
  ...unary,
  ...binary,
  ...reductions,
  ...family({ 13: "ArgMax ArgMin" }, "x -> y", ([x], { axis }: { axis: number; keepdims: 0 }) => [
    { shape: shapes.reducedShape(x!.shape, [axis], false), dtype: "int64" },
  ]),
  AveragePool: row<Pooling>(19, "x -> y", ([x], window) => one(x!, pooled(x!, window))),
  Cast: row<{ to: number }>(19, "x -> y", ([x], { to }) => [
    { shape: x!.shape, dtype: elementTypeOf(to) },
  ]),
  Clip: like(13, "x min max -> y"),
  Concat: row<Axis>(13, "x ... -> y", (parts, { axis }) => {
    const all = parts.map(({ shape }) => shape);
    return one(parts[0]!, shapes.joinedShape(all, axis));
  }),
  Conv: row<Convolution>(11, "x filter -> y", ([x, filter], window) => {
    const [batch, , ...size] = pooled(x!, { ...window, kernel_shape: extent(filter!, window) });
    return one(x!, [batch!, filter!.shape[0]!, ...size]);
  }),
  ConvTranspose: row<Convolution & { output_padding: Numbers }>(
    11,
    "x filter -> y",
    ([x, filter], window) => {
      const { pads, strides, group, output_padding } = window;
      const size = extent(filter!, window).map(
        (d, i) =>
          strides[i]! * (x!.shape[2 + i]! - 1) + d + output_padding[i]! - pads[i]! - pads[2 + i]!,
      );
      return one(x!, [x!.shape[0]!, filter!.shape[1]! * group, ...size]);
    },
  ),
  CumSum: like<{ exclusive: number; reverse: number }>(14, "x axis -> y"),
  Einsum: row<{ equation: string }>(12, "x ... -> y", (operands, { equation }) => {
    const all = operands.map(({ shape }) => shape);
    return one(operands[0]!, shapes.einsumShape(all, equation));
  }),
  Elu: like<{ alpha: FloatAttribute }>(6),
  Expand: row(13, "x shape -> y", ([x, shape]) => {
    const to = numbers(shape!);
    return to && one(x!, shapes.broadcastShape(x!.shape, to));
  }),
  Gather: row<Axis>(13, "x indices -> y", ([x, indices], { axis }) =>
    one(x!, [...x!.shape.slice(0, axis), ...indices!.shape, ...x!.shape.slice(axis + 1)]),
  ),
  GatherND: row(13, "x indices -> y", ([x, indices]) =>
    one(x!, [...indices!.shape.slice(0, -1), ...x!.shape.slice(indices!.shape.at(-1))]),
  ),
  Gelu: like<{ approximate: "none" }>(20),
  Gemm: row<Product & { beta: FloatAttribute }>(13, "a b c? -> y", product),
  Identity: like(19),
  LayerNormalization: row<{ axis: -1; epsilon: FloatAttribute; stash_type: 1 }>(
    17,
    "x gain bias -> y mean? inverseStd?",
    ([x]) => normalized(x!),
  ),
  LeakyRelu: like<{ alpha: FloatAttribute }>(16),
  LogSoftmax: like<Axis>(13),
  MatMul: row<None>(13, "a b -> y", product),
  MaxPool: row<Pooling>(12, "x -> y indices?", ([x], window) => {
    const shape = pooled(x!, window);
    return [spec(x!, shape), { shape, dtype: "int64" }];
  }),
  PRelu: like(16, "x slope -> y"),
  Pad: row<{ mode: "constant" }>(19, "x amounts fill -> y", ([x, amounts]) => {
    const [pads, { length }] = [numbers(amounts!), x!.shape];
    const padded = (d: number, i: number) => d + pads![i]! + pads![length + i]!;
    return pads && one(x!, x!.shape.map(padded));
  }),
  QuantizeLinear: row<{ axis?: number }>(19, "x scale zero -> y", ([x, , zero]) =>
    one(zero!, x!.shape),
  ),
  Range: row(11, "start limit step -> y", (bounds) => {
    const [start, limit, step] = bounds.map((bound) => numbers(bound)?.[0] ?? Number.NaN);
    const count = Math.ceil((limit! - start!) / step!);
    return Number.isNaN(count) ? null : one(bounds[0]!, [Math.max(0, count)]);
  }),
  Reshape: row(19, "x shape -> y", ([x, shape]) => {
    const to = numbers(shape!);
    return to && one(x!, shapes.reshapedShape(x!.shape, to));
  }),
  ScatterND: like<{ reduction?: "add" }>(18, "x indices updates -> y"),
  Shape: row<{ start: number; end: number }>(19, "x -> y", (_, { start, end }) => [
    { shape: [end - start], dtype: "int64" },
  ]),
  Slice: row(13, "x starts ends axes steps -> y", ([x, ...block]) => {
    const [starts, ends, axes, steps] = block.map(numbers);
    if (!starts || !ends || !axes || !steps) return null;
    return one(x!, shapes.slicedShape(x!.shape, starts, ends, axes, steps));
  }),
  Softmax: like<Axis>(13),
  Split: row<Axis>(18, "x sizes -> ...", ([x, sizes], { axis }) => {
    const resized = (n: number) => x!.shape.map((d, i) => (i === axis ? n : d));
    return numbers(sizes!)?.map((n) => spec(x!, resized(n))) ?? null;
  }),
  Tile: row(13, "x repeats -> y", ([x, repeats]) => {
    const times = numbers(repeats!);
    const repeated = x!.shape.map((d, i) => d * (times?.[i] ?? 1));
    return times && one(x!, repeated);
  }),
  TopK: row<{ axis: number; largest: 1; sorted: number }>(
    11,
    "x k -> y indices",
    ([x, k], { axis }) => {
      const count = numbers(k!)?.[0];
      const shape = x!.shape.map((d, i) => (i === axis ? (count ?? d) : d));
      return count === undefined ? null : [spec(x!, shape), { shape, dtype: "int64" }];
    },
  ),
  Transpose: row<{ perm: Numbers }>(13, "x -> y", ([x], { perm }) => {
    const shape = perm.map((axis) => x!.shape[axis]!);
    return one(x!, shape);
  }),
  Where: row(16, "condition a b -> y", (operands) => one(operands[1]!, broadcast(operands))),

  "com.microsoft:Attention": row<Heads>(1, "x weight bias -> y", attention),
  "com.microsoft:FusedMatMul": row<Product>(1, "a b -> y", product),
  "com.microsoft:MatMulIntegerToFloat": row(
    1,
    "a b aScale bScale aZero bZero? bias? -> y",
    ([a, b, scale]) => one(scale!, shapes.productShape(a!.shape, b!.shape, false, false)),
  ),
  "com.microsoft:MultiHeadAttention": like<Heads>(1, "query key value -> y"),
  "com.microsoft:QAttention": row<Heads>(
    1,
    "x weight bias xScale weightScale mask? xZero weightZero -> y",
    attention,
  ),
  "com.microsoft:SkipLayerNormalization": row<{ epsilon: FloatAttribute }>(
    1,
    "x skip gain bias -> y mean? inverseStd? sum?",
    ([x]) => [...normalized(x!), spec(x!, x!.shape)],
  ),

  "dmae:Attention": row<{ heads: number }>(1, "qkv -> y probabilities", ([qkv], { heads }) => {
    const [batch, tokens, width] = qkv!.shape as [number, number, number];
    return [spec(qkv!, [batch, tokens, width / 3]), spec(qkv!, [batch, heads, tokens, tokens])];
  }),
  "dmae:AttentionGrad": like<{ heads: number }>(1, "qkv y probabilities dy -> dqkv"),
  "dmae:Convolution": row(1, "x filter -> y", whole),
  "dmae:ConvolutionFilterGrad": row(1, "x dy -> dfilter", whole),
  "dmae:ConvolutionInputGrad": row(1, "dy filter -> dx", whole),
  "dmae:ConvolutionWeights": row(1, "filter -> panels", ([filter]) =>
    one(filter!, [sizeOf(filter!.shape.slice(0, 3)), panelOf(filter!.shape[3]!)]),
  ),
  "dmae:Gelu": like(1),
  "dmae:GeluGrad": like(1, "x dy -> dx"),
  "dmae:LayerNormGrad": row(1, "x gain mean inverseStd dy -> dx dgain dbias", ([x, gain]) => {
    const vector = spec(x!, gain!.shape);
    return [spec(x!, x!.shape), vector, vector];
  }),
  "dmae:MaxPool": row(1, "x -> y", whole),
  "dmae:MaxPoolGrad": row(1, "dy x y -> dx", whole),
  "dmae:RoundBfloat16": like(1),
  "dmae:RoundFloat16": like(1),
  "dmae:Step": like(1),
  "dmae:TransposedConvolutionWeights": row(1, "filter -> panels", ([filter]) =>
    one(filter!, [filter!.shape[3]!, panelOf(sizeOf(filter!.shape.slice(0, 3)))]),
  ),
  "dmae:WindowConvolution": row(1, "x weights -> y", overWindows),
  "dmae:WindowFilterGradient": row<MatrixWindow>(1, "x dy -> dfilter", ([x], { window }) => {
    const [, , channels, , , outputs, height, width] = window;
    return one(x!, [height!, width!, channels!, outputs!]);
  }),
  "dmae:WindowInputGradient": row(1, "dy weights -> dx", overImage),
  "dmae:WindowMaxPool": row(1, "x -> y", overWindows),
  "dmae:WindowMaxPoolGradient": row(1, "dy x y -> dx", overImage),
};

/** ONNX's operator set that graphs are written in, which has every operator; ONNX Runtime reads 20 from version 1.17 on. */
export const OPSET = Math.max(
  ...Object.entries(OPERATORS).map(([name, { since }]) => (name.includes(":") ? 1 : since)),
);

/** Names of all operators. */
export type Operator = keyof typeof OPERATORS;
/** Elementwise operators of one operand. */
export type Unary = keyof typeof unary;
/** Elementwise operators of two operands, broadcast. */
export type Binary = keyof typeof binary;
/** Reductions over given axes. */
export type Reduction = keyof typeof reductions;

/** The attributes of an operator. */
export type AttributesOf<K extends Operator> =
  (typeof OPERATORS)[K] extends Row<infer A> ? A : never;
/** What comes behind the inputs when a node is added: attributes, where there are any. */
export type Given<K extends Operator> = AttributesOf<K> extends None ? [] : [AttributesOf<K>];
/** The name without the domain. */
export type NameOf<K extends Operator> = K extends `${string}:${infer Name}` ? Name : K;
/** The domain of an operator, `""` for ONNX's. */
export type DomainOf<K extends Operator> = K extends `${infer Domain}:${string}` ? Domain : "";

/** The row of a node's operator. */
export const operatorOf = ({ op, domain }: { op: string; domain: string }) =>
  (OPERATORS as Record<string, Row<never>>)[domain ? `${domain}:${op}` : op];

/** The outputs of an operator, by its rule. */
export function outputsOf<K extends Operator>(
  op: K,
  inputs: readonly Operand[],
  attributes: AttributesOf<K>,
): readonly OutputSpec[] {
  const { rule } = OPERATORS[op] as Row<AttributesOf<K>>;
  const outputs = rule(inputs, attributes);
  if (!outputs) throw new Error(`the shape of ${op} follows from values that are not constants`);
  return outputs;
}
