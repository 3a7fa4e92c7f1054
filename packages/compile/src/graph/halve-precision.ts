import { COMPOSITE, WINDOWS } from "../ops/composite.ts";
import { cast, isHalf, MICROSOFT } from "./build.ts";
import type { Graph, Node, Value } from "./graph.ts";
import { fromHalf, type HalfType, toHalf } from "./half-numbers.ts";
import { type Program, type Rewrite, rebuild } from "./optimize.ts";

/**
 * How products read and give 16-bit numbers. `cast`: operators of that type, for devices that have them. `round`: float32
 * operators between pairs of casts, for the operators of a CPU. `kernels`: the same, with the rounding in generated kernels.
 */
export type HalfForm = "cast" | "round" | "kernels";

/** The operator that rounds a float32 to a 16-bit number, where kernels do it. */
export const roundingOperator = (type: HalfType) =>
  type === "bfloat16" ? "RoundBfloat16" : "RoundFloat16";

const products: Readonly<Record<string, readonly string[]>> = {
  "": ["Gemm", "MatMul", "Conv"],
  [MICROSOFT]: ["FusedMatMul", "Attention", "MultiHeadAttention"],
  [COMPOSITE]: [WINDOWS.convolution, WINDOWS.inputGradient, WINDOWS.filterGradient],
};

/** Products with a vector stay float32: they are the means of layer normalisations. */
const isProduct = ({ op, domain, outputs, inputs }: Node) =>
  products[domain]?.includes(op) === true &&
  outputs[0]!.dtype === "float32" &&
  outputs[0]!.shape.at(-1) !== 1 &&
  inputs.every((input) => input === null || input.dtype === "float32");

/**
 * Lets matrix products, convolutions and attention read 16-bit numbers and give 16-bit results, summed in float32; everything
 * between them stays float32: parameters, optimizer moments, normalisations, softmax, losses.
 */
export function halvePrecision(program: Program, type: HalfType, form: HalfForm): Program {
  const halve: Rewrite = ({ g }, node, inputs) => {
    if (isProduct(node)) return product(g, node, inputs, type, formOf(node, type, form));
    return form === "cast" ? moveInHalf(g, node, inputs, type) : null;
  };
  return rebuild(program, halve);
}

/** ONNX has convolutions of bfloat16 from operator set 22 on; in float32 (and TF32) products of such numbers are exact. */
const formOf = ({ op }: Node, type: HalfType, form: HalfForm): HalfForm =>
  op === "Conv" && type === "bfloat16" && form === "cast" ? "round" : form;

function product(
  g: Graph,
  node: Node,
  inputs: readonly (Value | null)[],
  type: HalfType,
  form: HalfForm,
): Value[] {
  const read = (value: Value | null) =>
    value && (form === "cast" ? cast(g, value, type) : round(g, value, type, form));
  const specs = node.outputs.map(({ shape, dtype }) => ({
    shape,
    dtype: form === "cast" ? type : dtype,
  }));
  const results = g.append(node, inputs.map(read), specs);
  return results.map((result) =>
    form === "cast" ? cast(g, result, "float32") : round(g, result, type, form),
  );
}

/** A float32 rounded to a 16-bit number and back; a constant at once. */
function round(g: Graph, x: Value, type: HalfType, form: HalfForm): Value {
  const op = roundingOperator(type);
  if (x.constant) {
    const rounded = fromHalf(type, toHalf(type, x.constant as Float32Array));
    if (x.splat) return g.splat(x.dtype, x.shape, rounded[0]!);
    return g.constant(x.dtype, x.shape, rounded, x.name);
  }
  if (form === "round") return cast(g, cast(g, x, type), "float32");
  if (x.node?.op === op) return x;
  return g.add(`dmae:${op}`, [x]);
}

const moving = new Set(["Reshape", "Transpose", "Split", "Concat", "Slice"]);
const joining = new Set(["Concat"]);

/** Moves 16-bit numbers where a product's result is moved before anything else reads it. */
function moveInHalf(
  g: Graph,
  node: Node,
  inputs: readonly (Value | null)[],
  type: HalfType,
): Value[] | null {
  if (node.domain !== "" || !moving.has(node.op)) return null;
  const count = joining.has(node.op) ? inputs.length : 1;
  const sources = inputs.slice(0, count).map(widenedFrom);
  if (sources.includes(null)) return null;
  const specs = node.outputs.map(({ shape }) => ({ shape, dtype: type }));
  const moved = g.append(node, [...sources, ...inputs.slice(count)], specs);
  return moved.map((value) => cast(g, value, "float32"));
}

/** The 16-bit value that was cast to float32; null for other values. */
export function widenedFrom(value: Value | null): Value | null {
  const source = value?.node?.op === "Cast" ? value.node.inputs[0]! : null;
  return value?.dtype === "float32" && source && isHalf(source.dtype) ? source : null;
}
