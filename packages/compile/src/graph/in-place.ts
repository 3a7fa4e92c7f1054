import { KERNELS } from "./build.ts";
import { liveNodes, type Node, sameShape, type Value } from "./graph.ts";
import type { Program } from "./optimize.ts";

const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Exp", "Relu"]);

/**
 * Operators that ONNX Runtime joins to nothing that reads an operand again after it wrote. It does join a product and its
 * activation (which then writes over the rows that it still multiplies), or x * sigmoid(2 x).
 */
const PLAIN = new Set(["Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Reshape"]);

/** Nodes that are looked at on the way from a reader to the writer; moments take one or two. */
const MAX_DISTANCE = 64;

/** Whether a node may write `output` over `input`, which it reads. */
export type Overwrites = (node: Node, input: Value, output: Value) => boolean;

/** Elementwise operators of ONNX may write over what they read. */
export const elementwise: Overwrites = ({ op, domain, inputs }, input) =>
  domain === "" && ELEMENTWISE.has(op) && inputs.includes(input);

/**
 * Which inputs may share their buffer with an output: output i of `pairs` may be written over its input
 * when everything that reads the input has run before the output's node, or is that node and may write over it.
 * Optimizer moments are of this kind, parameters are not (a layer's input gradient reads them late).
 */
export function inPlaceInputs(
  program: Program,
  pairs: readonly { readonly input: Value; readonly output: Value }[],
  overwrites: Overwrites = elementwise,
): Set<Value> {
  const readers = readersOf(program);
  const safe = new Set<Value>();
  for (const { input, output } of pairs) {
    const written = beforeReshapes(output);
    const names = withReshapes(input, readers);
    const isOutput = names.some((name) => program.outputs.includes(name));
    if (!written.node || isOutput || !sameShape(input.shape, output.shape)) continue;
    if (names.every((name) => isReadBefore(name, written, readers, overwrites))) safe.add(input);
  }
  return safe;
}

type Readers = ReadonlyMap<Value, readonly Node[]>;

function readersOf({ graph, outputs }: Program): Readers {
  const readers = new Map<Value, Node[]>();
  for (const node of liveNodes(graph, outputs))
    for (const value of new Set(node.inputs))
      if (value) readers.set(value, [...(readers.get(value) ?? []), node]);
  return readers;
}

const isReshape = ({ op, domain }: Node) => op === "Reshape" && domain === "";

/** A value and all its reshapes: ONNX Runtime gives them one buffer. */
function withReshapes(value: Value, readers: Readers): Value[] {
  const reshapes = (readers.get(value) ?? []).filter((n) => isReshape(n) && n.inputs[0] === value);
  return [value, ...reshapes.flatMap((node) => withReshapes(node.outputs[0]!, readers))];
}

const beforeReshapes = (value: Value): Value =>
  value.node && isReshape(value.node) ? beforeReshapes(value.node.inputs[0]!) : value;

/** True if nothing reads `value`, which lies where `written` goes, after that is written. */
function isReadBefore(
  value: Value,
  written: Value,
  readers: Readers,
  overwrites: Overwrites,
): boolean {
  const writer = written.node!;
  return (readers.get(value) ?? []).every((reader) => {
    if (isReshape(reader)) return true; // what reads its result counts
    if (reader !== writer) return comesBefore(reader, writer, readers);
    return sameShape(value.shape, written.shape) && overwrites(writer, value, written);
  });
}

/** True if `writer` needs `reader`, and ONNX Runtime does not make one node of the two. */
function comesBefore(reader: Node, writer: Node, readers: Readers): boolean {
  const apart = [reader, writer].some(({ domain }) => domain === KERNELS);
  const isSafe = ({ op, domain }: Node) => apart || (domain === "" && PLAIN.has(op));
  if (!isSafe(reader) || !isSafe(writer)) return false;
  const seen = new Set<Node>([reader]);
  let found = false;
  for (const node of seen) {
    for (const next of node.outputs.flatMap((output) => readers.get(output) ?? [])) {
      if (next === writer) found = true;
      else if (isSafe(next)) seen.add(next);
      else return false;
    }
    if (seen.size > MAX_DISTANCE || (apart && found)) break;
  }
  return found && (apart || seen.size <= MAX_DISTANCE);
}
