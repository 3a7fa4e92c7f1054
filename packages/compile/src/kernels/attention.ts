import type { Node } from "../graph/graph.ts";
import { COMPOSITE } from "../ops/composite.ts";
import { type Kernel, literal, makeKernel } from "./kernel.ts";

/**
 * Attention whose probabilities a gradient reads, and that gradient, as kernels; null for other nodes. A part is one head of one
 * image, read and written where it lies; see attention.h.
 */
export function emitAttention(node: Node): Kernel | null {
  if (node.domain !== COMPOSITE || (node.op !== "Attention" && node.op !== "AttentionGrad"))
    return null;
  const { heads } = node.attributes;
  const [qkv, , probabilities, dy] = node.inputs;
  const [batch, tokens, width] = qkv!.shape as [number, number, number];
  const size = width / 3 / heads;
  const isGradient = node.op === "AttentionGrad";
  const call = isGradient ? "attention_gradient" : "attention";
  const sizes = [tokens, heads, size, literal(1 / Math.sqrt(size))].join(", ");
  return makeKernel({
    label: "Attention",
    inputs: isGradient ? [qkv!, probabilities!, dy!] : [qkv!],
    outputs: node.outputs,
    body: [`  ${call}(call, part, ${sizes});`],
    parts: batch * heads,
  });
}
