import { countUses, liveNodes, type Node, sameShape, type Value } from "./graph.ts";
import type { Program } from "./optimize.ts";

/** Elementwise operators, which may write over what they read. */
const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Exp", "Relu"]);

/**
 * Which inputs may share their buffer with an output: output i of `pairs` may be written over its input
 * when everything that reads the input has run before the output's node, or is that node and elementwise.
 * Optimizer moments are of this kind, parameters are not (a layer's input gradient reads them late).
 */
export function inPlaceInputs(
  program: Program,
  pairs: readonly { readonly input: Value; readonly output: Value }[],
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
    if (!isOutput && writesLast(writer, reading, input)) safe.add(input);
  }
  return safe;
}

/** True if every node of `reading` is a strict ancestor of `writer`, or an elementwise `writer` itself. */
function writesLast(writer: Node, reading: readonly Node[], input: Value): boolean {
  const pending = new Set(reading);
  if (pending.has(writer)) {
    if (!ELEMENTWISE.has(writer.op) || writer.domain !== "") return false;
    if (!writer.inputs.some((value) => value === input)) return false;
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
