import { broadcastShape, constantNumbers, onnxType } from "../graph/build.ts";
import { type ElementType, liveNodes, type Node, sizeOf, type Value } from "../graph/graph.ts";
import type { Program } from "../graph/optimize.ts";

type Rule = (node: Node, inputs: readonly Value[]) => readonly number[] | null;
type DTypeRule = (node: Node, inputs: readonly Value[]) => ElementType | null;

const broadcast: Rule = (_, inputs) =>
  inputs.map((v) => v.shape).reduce((a, b) => broadcastShape(a, b));
const same: Rule = (_, [x]) => x!.shape;
const permuted: Rule = ({ attributes }, [x]) =>
  (attributes.perm as readonly number[]).map((p) => x!.shape[p]!);

const reshaped: Rule = (_, [x, shape]) => {
  const wanted = constantNumbers(shape!);
  if (wanted && sizeOf(wanted) !== sizeOf(x!.shape)) return [];
  return wanted;
};

const expanded: Rule = (_, [x, shape]) => broadcastShape(x!.shape, constantNumbers(shape!)!);

const product: Rule = ({ attributes }, [a, b]) => {
  const [m, k] = attributes.transA === 1 ? [1, 0] : [0, 1];
  const [inner, n] = attributes.transB === 1 ? [1, 0] : [0, 1];
  const at = (v: Value, i: number) => v.shape[v.shape.length - 2 + i]!;
  if (at(a!, k!) !== at(b!, inner!)) return [];
  return [...broadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2)), at(a!, m!), at(b!, n!)];
};

const reduced: Rule = ({ attributes }, [x, axes]) => {
  const gone = constantNumbers(axes!)!;
  return x!.shape.flatMap((d, i) =>
    gone.includes(i) ? (attributes.keepdims === 1 ? [1] : []) : [d],
  );
};

const joined: Rule = ({ attributes }, inputs) =>
  inputs[0]!.shape.map((d, i) =>
    i === attributes.axis ? inputs.reduce((n, v) => n + v.shape[i]!, 0) : d,
  );

const gathered: Rule = ({ attributes }, [x, indices]) => {
  const axis = attributes.axis as number;
  return [...x!.shape.slice(0, axis), ...indices!.shape, ...x!.shape.slice(axis + 1)];
};

const of = (ops: string, rule: Rule) => ops.split(" ").map((op) => [op, rule] as const);

/** The shape of the first output of the operators that most graphs consist of. */
const shapeRules = new Map<string, Rule>([
  ...of("Add Sub Mul Div Pow Max Min Less Greater Equal And Or Where", broadcast),
  ...of("Neg Abs Exp Log Sqrt Tanh Erf Sigmoid Relu Reciprocal Floor Cast Softmax Not", same),
  ...of("ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd", reduced),
  ...of("MatMul FusedMatMul Gemm", product),
  ["Transpose", permuted],
  ["Reshape", reshaped],
  ["Expand", expanded],
  ["Concat", joined],
  ["Gather", gathered],
]);

const comparisons = new Set(["Less", "Greater", "Equal", "And", "Or", "Not"]);

const dtypeOf: DTypeRule = ({ op, attributes }, inputs) => {
  if (!shapeRules.has(op)) return null;
  if (comparisons.has(op)) return "bool";
  if (op === "Where") return inputs[1]!.dtype;
  if (op !== "Cast") return inputs[0]!.dtype;
  const all: ElementType[] = ["float32", "int32", "bool", "int64", "uint8", "int8"];
  return all.find((dtype) => onnxType(dtype) === attributes.to) ?? null;
};

/** What is wrong with a value by itself. */
function faultOfValue({ shape, constant, splat }: Value): string | null {
  if (shape.some((d) => !Number.isInteger(d) || d < 0)) return `has the shape [${shape}]`;
  if (constant && constant.length !== (splat ? 1 : sizeOf(shape)))
    return `holds ${constant.length} numbers in the shape [${shape}]`;
  return null;
}

function faultsOfNode(node: Node): string[] {
  const inputs = node.inputs.filter((v) => v !== null);
  const [first] = node.outputs;
  const found = node.outputs.flatMap((value, i) =>
    value.node === node && value.index === i ? [] : [`output ${i} belongs to another node`],
  );
  const shape = node.domain === "" ? shapeRules.get(node.op)?.(node, inputs) : null;
  if (shape && `${shape}` !== `${first!.shape}`)
    found.push(`has the shape [${first!.shape}], its inputs give [${shape}]`);
  const dtype = node.domain === "" ? dtypeOf(node, inputs) : null;
  if (dtype && dtype !== first!.dtype) found.push(`is ${first!.dtype}, its inputs give ${dtype}`);
  return found;
}

/**
 * What is wrong with a graph: values used before they are made, shapes and dtypes that do not follow from a node's
 * inputs, constants of another size, outputs that nothing makes, nodes that nothing uses. Empty for a sound graph.
 */
export function faultsOf({ graph, outputs }: Program): string[] {
  const made = new Set<Value>(graph.inputs);
  const faults: string[] = [];
  const check = (where: string, value: Value) => {
    if (!value.constant && !made.has(value)) faults.push(`${where}: v${value.id} is not made yet`);
    const fault = faultOfValue(value);
    if (fault) faults.push(`${where}: v${value.id} ${fault}`);
  };
  for (const node of liveNodes(graph, outputs)) {
    for (const input of node.inputs) if (input) check(node.op, input);
    faults.push(...faultsOfNode(node).map((fault) => `${node.op}: ${fault}`));
    for (const output of node.outputs) made.add(output);
  }
  for (const output of outputs) check("output", output);
  return faults;
}
