import type { Node, Value } from "../graph/graph.ts";
import { roundingOperator } from "../graph/halve-precision.ts";
import { type Kernel, literal, makeKernel } from "./kernel.ts";

/** Multiplications from which a product of our own is worth its call. */
const MIN_MULTIPLICATIONS = 1 << 21;

/**
 * A matrix product without a summand as a kernel, shared by `threads`; null for other nodes. What changes from step to step is not
 * packed ahead of time, and ONNX Runtime's own product then loses more on copying its operands; see product.h.
 */
export function emitProduct(node: Node, threads: number): Kernel | null {
  if (node.op !== "Gemm" || node.domain !== "" || node.inputs.length > 2) return null;
  const { alpha } = node.attributes;
  const [transA, transB] = [Number(node.attributes.transA), Number(node.attributes.transB)];
  const [a, b] = node.inputs;
  const [rows, columns] = node.outputs[0]!.shape as [number, number];
  const depth = a!.shape[transA === 1 ? 0 : 1]!;
  if (a!.dtype !== "float32" || rows * columns * depth < MIN_MULTIPLICATIONS) return null;
  const sizes = [threads, rows, columns, depth, transA, transB, literal(alpha.float)].join(", ");
  return makeKernel({
    label: "Product",
    inputs: [a!, b!],
    outputs: node.outputs,
    body: [`  ${[a!, b!].every(isBfloat16) ? "product16" : "product"}(call, part, ${sizes});`],
    parts: threads,
  });
}

/** Whether all of a value's numbers are bfloat16: the lower halves of their words are zero. */
function isBfloat16({ node, constant }: Value): boolean {
  if (node) return node.op === roundingOperator("bfloat16");
  if (!(constant instanceof Float32Array)) return false;
  const words = new Uint32Array(constant.buffer, constant.byteOffset, constant.length);
  return words.every((word) => (word & 0xffff) === 0);
}
