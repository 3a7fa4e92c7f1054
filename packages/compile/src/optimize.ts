import { binary, cast, gemm, reshape, transpose } from "./build.ts";
import { uniformValue } from "./evaluate.ts";
import {
  countUses,
  type FloatAttribute,
  float,
  Graph,
  liveNodes,
  type Node,
  type Value,
} from "./graph.ts";
import { lowerComposite } from "./lower.ts";
import { COMPOSITE } from "./ops/composite.ts";

/** A graph with its outputs. */
export interface Program {
  readonly graph: Graph;
  readonly outputs: readonly Value[];
}

type Rewrite = (context: RewriteContext, node: Node, inputs: (Value | null)[]) => Value[] | null;

interface RewriteContext {
  /** The graph being written. */
  readonly g: Graph;
  /** How often a value of the old graph is used. */
  uses(value: Value | null | undefined): number;
  /** The new value for one of the old graph. */
  map(value: Value): Value;
}

/** Writes the live part of a program anew; `rewrite` may replace a node, null copies it. */
function rebuild({ graph, outputs }: Program, rewrite: Rewrite): Program {
  const uses = countUses(outputs);
  const g = new Graph();
  const mapped = new Map<Value, Value>();
  for (const input of graph.inputs)
    mapped.set(input, g.input(input.name!, input.dtype, input.shape));
  const map = (value: Value): Value => {
    const known = mapped.get(value);
    if (known) return known;
    if (!value.constant) throw new Error(`value ${value.id} is used before it is made`);
    const copy = value.splat
      ? g.splat(value.dtype, value.shape, value.constant[0]!)
      : g.constant(value.dtype, value.shape, value.constant, value.name);
    mapped.set(value, copy);
    return copy;
  };
  const context: RewriteContext = {
    g,
    uses: (value) => (value ? (uses.get(value) ?? 0) : 0),
    map,
  };
  for (const node of liveNodes(graph, outputs)) {
    const inputs = node.inputs.map((value) => (value ? map(value) : null));
    const results =
      rewrite(context, node, inputs) ??
      g.addNode(node.op, inputs, node.attributes, node.outputs, node.domain);
    results.forEach((result, i) => {
      mapped.set(node.outputs[i]!, result);
    });
  }
  return { graph: g, outputs: outputs.map(map) };
}

const lower: Rewrite = ({ g, uses }, node, inputs) =>
  node.domain === COMPOSITE
    ? lowerComposite(g, node, inputs as Value[], (i) => uses(node.outputs[i]) > 0)
    : null;

/** Repeats what the builder does (neutral elements, reshapes, transposes) after other rewrites. */
const simplify: Rewrite = ({ g }, node, inputs) => {
  const [a, b] = inputs as Value[];
  switch (node.domain === "" ? node.op : "") {
    case "Add":
    case "Sub":
    case "Mul":
    case "Div":
      return [binary(g, node.op, a!, b!)];
    case "Reshape":
      return [reshape(g, a!, node.outputs[0]!.shape)];
    case "Transpose":
      return [transpose(g, a!, node.attributes.perm as number[])];
    case "Cast":
      return [cast(g, a!, node.outputs[0]!.dtype)];
    default:
      return null;
  }
};

const isMatrixProduct = (value: Value) =>
  value.node?.op === "Gemm" || (value.node?.op === "FusedMatMul" && value.node.domain !== "");

const alphaOf = (node: Node) => (node.attributes.alpha as FloatAttribute).float;

/** Moves a constant factor, a bias or a sum into the matrix product that feeds it. */
const fuseProducts: Rewrite = (context, node, inputs) => {
  if (node.domain !== "" || node.inputs.length !== 2) return null;
  for (const side of [0, 1]) {
    const source = node.inputs[side]!;
    const product = context.map(source);
    const other = inputs[1 - side]!;
    if (context.uses(source) !== 1 || !isMatrixProduct(product)) continue;
    const fused =
      node.op === "Mul"
        ? scaleProduct(context.g, product, uniformValue(other))
        : node.op === "Div" && side === 0
          ? scaleProduct(context.g, product, inverse(uniformValue(other)))
          : node.op === "Add"
            ? addToProduct(context.g, product, other)
            : null;
    if (fused) return [fused];
  }
  return null;
};

const inverse = (x: number | null) => (x === null || x === 0 ? null : 1 / x);

function scaleProduct(g: Graph, product: Value, factor: number | null): Value | null {
  const node = product.node!;
  if (factor === null || node.inputs.length > 2) return null;
  const attributes = { ...node.attributes, alpha: float(alphaOf(node) * factor) };
  return g.add(node.op, node.inputs, attributes, product.shape, product.dtype, node.domain);
}

function addToProduct(g: Graph, product: Value, term: Value): Value | null {
  const node = product.node!;
  if (node.op !== "Gemm" || node.inputs.length > 2 || product.dtype !== "float32") return null;
  if (term.shape.length > 2 || term.shape.length === 0) return null;
  const [rows, columns] = product.shape as [number, number];
  const [m, n] = term.shape.length === 1 ? [1, term.shape[0]!] : (term.shape as [number, number]);
  if ((m !== 1 && m !== rows) || n !== columns) return null;
  const { transA, transB } = node.attributes;
  return gemm(g, node.inputs[0]!, node.inputs[1]!, transA === 1, transB === 1, term, alphaOf(node));
}

/** Lowers and cleans a traced program. */
export function optimize(program: Program): Program {
  const passes: Rewrite[] = [simplify, lower, simplify, fuseProducts];
  return passes.reduce(rebuild, program);
}
