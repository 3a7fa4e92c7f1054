import { liveNodes, type Value } from "./graph.ts";
import type { Program } from "./optimize.ts";

const nameOf = (value: Value): string => value.name ?? `v${value.id}`;
const typeOf = ({ dtype, shape }: Value): string => `${dtype}[${shape.join()}]`;

/** How an operand is shown: a constant by its one number, or by its type. */
function operand(value: Value | null): string {
  if (!value) return "-";
  if (!value.constant) return nameOf(value);
  return value.constant.length === 1 ? String(value.constant[0]) : `constant ${typeOf(value)}`;
}

/** A graph as text, one line for each node: its outputs with dtype and shape, the operator, the inputs. */
export function printGraph({ graph, outputs }: Program): string {
  const lines = liveNodes(graph, outputs).map(({ op, inputs, outputs: made }) => {
    const results = made.map((value) => `${nameOf(value)}: ${typeOf(value)}`).join(", ");
    return `${results} = ${op}(${inputs.map(operand).join(", ")})`;
  });
  return lines.join("\n");
}
