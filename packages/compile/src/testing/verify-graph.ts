import { DmaeError } from "@dmae/core";
import { KERNELS } from "../graph/build.ts";
import { liveNodes, type Node, type OutputSpec, sizeOf, type Value } from "../graph/graph.ts";
import { operatorOf } from "../graph/operators.ts";
import type { Program } from "../graph/optimize.ts";

/** What is wrong with a value by itself. */
function faultOfValue({ shape, constant, splat }: Value): string | null {
  if (shape.some((d) => !Number.isInteger(d) || d < 0)) return `has the shape [${shape}]`;
  if (constant && constant.length !== (splat ? 1 : sizeOf(shape)))
    return `holds ${constant.length} numbers in the shape [${shape}]`;
  return null;
}

/** Whether as many values are given as the names of a signature allow: `x mask?`, `x ...`. */
function fits(names: string, count: number): boolean {
  const words = names.split(" ");
  const least = words.filter((word) => !word.endsWith("?") && word !== "...").length;
  return count >= least && (words.includes("...") || count <= words.length);
}

const shown = ({ dtype, shape }: OutputSpec) => `${dtype}[${shape}]`;

/** What the operator's row in the table does not allow. */
function faultsOfNode(node: Node): string[] {
  const found = node.outputs.flatMap((value, i) =>
    value.node === node && value.index === i ? [] : [`output ${i} belongs to another node`],
  );
  if (node.domain === KERNELS) return found;
  const operator = operatorOf(node);
  if (!operator) return [...found, `is no operator of the domain "${node.domain}"`];
  const [inputs, outputs] = operator.signature.split(" -> ") as [string, string];
  if (!fits(inputs, node.inputs.length)) found.push(`takes ${inputs}, has ${node.inputs.length}`);
  if (!fits(outputs, node.outputs.length))
    found.push(`gives ${outputs}, has ${node.outputs.length}`);
  const specs = operator.rule(node.inputs as Value[], node.attributes as never) ?? node.outputs;
  node.outputs.forEach((output, i) => {
    if (shown(output) !== shown(specs[i]!))
      found.push(`output ${i} is ${shown(output)}, its inputs give ${shown(specs[i]!)}`);
  });
  return found;
}

/** The faults of a node; shapes that the rule refuses are one. */
function refused(node: Node): string[] {
  try {
    return faultsOfNode(node);
  } catch (error) {
    if (DmaeError.isInstance(error)) return [error.message];
    throw error;
  }
}

/**
 * What is wrong with a graph: values used before they are made, operators that the table lacks, shapes and dtypes that do not
 * follow from a node's inputs, constants of another size, outputs that nothing makes. Empty for a sound graph.
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
    faults.push(...refused(node).map((fault) => `${node.op}: ${fault}`));
    for (const output of node.outputs) made.add(output);
  }
  for (const output of outputs) check("output", output);
  return faults;
}
