import { countUses, liveNodes, type Node, sameShape, type Value } from "./graph.ts";
import type { Program } from "./optimize.ts";

const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Exp", "Relu"]);

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
  const nodes = liveNodes(program.graph, program.outputs);
  const uses = countUses(program.outputs);
  const readers = new Map<Value, Node[]>();
  for (const node of nodes)
    for (const value of node.inputs)
      if (value) readers.set(value, [...(readers.get(value) ?? []), node]);
  const safe = new Set<Value>();
  for (const { input, output } of pairs) {
    const writer = output.node;
    if (!writer || !sameShape(input.shape, output.shape)) continue;
    const reading = readers.get(input) ?? [];
    const isOutput = (uses.get(input) ?? 0) > reading.length;
    if (!isOutput && writesLast(output, reading, input, overwrites)) safe.add(input);
  }
  return safe;
}

/** True if every node of `reading` is a strict ancestor of the output's, or that one and may write over the input. */
function writesLast(
  output: Value,
  reading: readonly Node[],
  input: Value,
  overwrites: Overwrites,
): boolean {
  const writer = output.node!;
  const pending = new Set(reading);
  if (pending.has(writer)) {
    if (!overwrites(writer, input, output)) return false;
    pending.delete(writer);
  }
  // Readers of a moment are few steps away: a short walk finds them, a long one is given up.
  const seen = new Set<Node>([writer]);
  const queue: Node[] = [writer];
  for (let i = 0; i < queue.length && pending.size > 0 && i < 64; i++)
    for (const value of queue[i]!.inputs) {
      const source = value?.node;
      if (!source || seen.has(source)) continue;
      seen.add(source);
      pending.delete(source);
      queue.push(source);
    }
  return pending.size === 0;
}
