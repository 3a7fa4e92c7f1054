import { KERNELS } from "../build.ts";
import { Graph, type Node, type Value } from "../graph.ts";
import type { Program } from "../optimize.ts";
import { emitAttention } from "./attention.ts";
import { emitKernel, type Kernel } from "./emit-c.ts";
import { emitProduct } from "./product.ts";
import { findRegions, isRegion, type Region, type Step } from "./regions.ts";

/** A kernel takes and gives at most so many tensors (`MAX_OPERANDS` of kernels.h). */
const MOST_OPERANDS = 64;

/** A program some of whose nodes are generated operators, and the C of those. */
export interface FusedProgram {
  readonly program: Program;
  /** The generated operators, each once for every node that it makes. */
  readonly kernels: readonly Kernel[];
  /** Whether `output` of a generated operator may be written over `input`. */
  readonly overwrites: (node: Node, input: Value, output: Value) => boolean;
  /** A C file that includes kernels.h. */
  readonly source: string;
}

const nodesOf = (step: Step): readonly Node[] =>
  isRegion(step) ? step.members.map(({ node }) => node) : [step];

/**
 * Replaces every region of elementwise operators and row reductions by one generated operator: what ONNX Runtime would
 * compute in a pass over memory for each operator becomes one pass for all. Large matrix products
 * become kernels too, shared by `threads`.
 */
export function fuse(program: Program, threads: number): FusedProgram {
  const outputs = new Set(program.outputs);
  const readers = new Map<Value, Node[]>();
  const steps = findRegions(program);
  for (const node of steps.flatMap(nodesOf))
    for (const value of node.inputs)
      if (value) readers.set(value, [...(readers.get(value) ?? []), node]);
  const isReadOutside = ({ members }: Region) => {
    const inside = new Set(members.map(({ node }) => node));
    return (value: Value) =>
      outputs.has(value) || (readers.get(value) ?? []).some((node) => !inside.has(node));
  };
  const g = new Graph();
  const mapped = new Map<Value, Value>();
  for (const input of program.graph.inputs)
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
  const copyNode = (node: Node) => {
    const inputs = node.inputs.map((value) => (value ? map(value) : null));
    g.addNode(node.op, inputs, node.attributes, node.outputs, node.domain).forEach((result, i) => {
      mapped.set(node.outputs[i]!, result);
    });
  };
  const names = new Map<string, string>();
  const kernels: Kernel[] = [];
  const byName = new Map<string, Kernel>();
  const entries: string[] = [];
  const sources: string[] = [];
  const use = (kernel: Kernel) => {
    const text = `${kernel.source}\n${kernel.entry}`;
    let name = names.get(text);
    if (!name) {
      name = `${kernel.label}${names.size}`;
      names.set(text, name);
      sources.push(kernel.source.replaceAll("NAME", name));
      entries.push(kernel.entry.replaceAll("NAME", name));
    }
    kernels.push(kernel);
    byName.set(name, kernel);
    g.addNode(name, kernel.inputs.map(map), {}, kernel.outputs, KERNELS).forEach((result, i) => {
      mapped.set(kernel.outputs[i]!, result);
    });
  };
  for (const step of steps) {
    const kernel = isRegion(step)
      ? emitKernel(step, isReadOutside(step))
      : (emitProduct(step, threads) ?? emitAttention(step));
    if (kernel && kernel.inputs.length <= MOST_OPERANDS && kernel.outputs.length <= MOST_OPERANDS)
      use(kernel);
    else for (const node of nodesOf(step)) copyNode(node);
  }
  const source = [
    '#include "attention.h"',
    ...sources,
    `static Operator operators[] = {\n${entries.join(",\n")}};`,
    "DMAE_OPERATORS",
    "",
  ].join("\n\n");
  const overwrites = (node: Node, input: Value, output: Value) => {
    const pairs = node.domain === KERNELS ? byName.get(node.op)?.overwrites : undefined;
    return pairs?.some(([i, o]) => node.inputs[i] === input && o === output.index) ?? false;
  };
  return { program: { graph: g, outputs: program.outputs.map(map) }, kernels, overwrites, source };
}
