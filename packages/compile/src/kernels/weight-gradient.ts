import type { FloatAttribute, Node } from "../graph.ts";
import { type Kernel, literal } from "./emit-c.ts";

/** Multiplications from which a product of our own is worth its call. */
const FROM = 1 << 21;

/**
 * The product `A^T B` of a weight gradient as a kernel; null for other nodes. ONNX Runtime copies A to another order once for every
 * 128 columns of B and is a quarter slower than in its other products; see product.h.
 */
export function weightGradient(node: Node, threads: number): Kernel | null {
  const { transA, transB, alpha } = node.attributes as Record<string, FloatAttribute>;
  const isProduct = node.op === "Gemm" && node.domain === "" && node.inputs.length === 2;
  if (!isProduct || Number(transA) !== 1 || Number(transB) !== 0) return null;
  const [a, b] = node.inputs;
  const [depth, rows] = a!.shape as [number, number];
  const columns = b!.shape[1]!;
  if (a!.dtype !== "float32" || rows * columns * depth < FROM) return null;
  const sizes = `${threads}, ${rows}, ${columns}, ${depth}, ${literal(alpha!.float)}`;
  return {
    source: [
      `static void NAME(void *call, size_t part) { transposed_product(call, part, ${sizes}); }`,
      `static const int64_t NAME_shapes[][8] = {{2, ${rows}, ${columns}}};`,
    ].join("\n"),
    entry: `{.name = "NAME", .inputs = 2, .outputs = 1, .shapes = NAME_shapes, .part = NAME, .parts = ${threads}}`,
    inputs: [a!, b!],
    outputs: [...node.outputs],
    overwrites: [],
  };
}
