import type { Node } from "../graph.ts";
import { COMPOSITE } from "../ops/composite.ts";
import { type Kernel, literal } from "./emit-c.ts";

/**
 * Attention whose probabilities a gradient reads, and that gradient, as kernels; null for other nodes. A part is one head of one
 * image, read and written where it lies; see attention.h.
 */
export function emitAttention(node: Node): Kernel | null {
  if (node.domain !== COMPOSITE) return null;
  const heads = node.attributes.heads as number;
  const [qkv, , probabilities, dy] = node.inputs;
  const [batch, tokens, width] = qkv!.shape as [number, number, number];
  const size = width / 3 / heads;
  const isGradient = node.op === "AttentionGrad";
  const call = isGradient ? "attention_gradient" : "attention";
  const inputs = isGradient ? [qkv!, probabilities!, dy!] : [qkv!];
  const sizes = [tokens, heads, size, literal(1 / Math.sqrt(size))].join(", ");
  const shapes = node.outputs.map(({ shape }) => `{${[shape.length, ...shape].join()}}`);
  return {
    label: "Attention",
    source: [
      `static void NAME(void *call, size_t part) { ${call}(call, part, ${sizes}); }`,
      `static const int64_t NAME_shapes[][8] = {${shapes.join(", ")}};`,
    ].join("\n"),
    entry: `{.name = "NAME", .inputs = ${inputs.length}, .outputs = ${shapes.length}, .shapes = NAME_shapes, .part = NAME, .parts = ${batch * heads}}`,
    inputs,
    outputs: [...node.outputs],
    overwrites: [],
  };
}
