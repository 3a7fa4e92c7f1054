import { binary, gemm, like, reduce, reshape } from "./build.ts";
import { constantNumbers } from "./evaluate.ts";
import { liveNodes, sizeOf } from "./graph.ts";
import { type Program, type Rewrite, rebuild } from "./optimize.ts";

/** Products of fewer elements keep their sum: there a node costs more than a pass. */
const SPLIT_FROM = 1 << 17;

/** Sums over fewer rows stay reductions. */
const PRODUCT_FROM = 64;

/** Sums of so many terms are made in two steps. */
const TWO_STEPS_FROM = 1 << 14;

/** Products of elements from this size on are computed twice instead of kept (16 MiB). */
const REPEAT_FROM = 1 << 22;

/**
 * Takes what a large matrix product adds into an operator of its own. ONNX Runtime's Gemm first copies the bias to every
 * row of its result, with one thread, and reads it back: for `[1600, 192] x [192, 768]` that takes 0.65 ms of
 * 2.2, a sum in place on all threads 0.3.
 */
const splitSum: Rewrite = ({ g }, node, inputs) => {
  const [a, b, term] = inputs;
  const { shape, dtype } = node.outputs[0]!;
  if (node.op !== "Gemm" || !term || dtype !== "float32" || sizeOf(shape) < SPLIT_FROM) return null;
  const { transA, transB, alpha, beta } = node.attributes;
  const product = gemm(g, a!, b!, transA === 1, transB === 1, null, alpha.float);
  return [binary(g, "Add", product, binary(g, "Mul", term, like(g, term, beta.float)))];
};

/** Sums the rows of a matrix (gradients of biases and gains) by a product with ones: half the time. */
const sumByProduct: Rewrite = ({ g }, node, inputs) => {
  if (node.op !== "ReduceSum") return null;
  const [x, axes] = inputs;
  const { shape, dtype } = node.outputs[0]!;
  const [rows] = x!.shape;
  if (dtype !== "float32" || x!.shape.length !== 2 || rows! < PRODUCT_FROM) return null;
  if (`${constantNumbers(axes!)}` !== "0") return null;
  return [reshape(g, gemm(g, g.splat("float32", [1, rows!], 1), x!, false, false), shape)];
};

/**
 * Sums many numbers in two steps, each of about as many terms as the other. In one step ONNX Runtime adds them to few partial sums,
 * whose rounding errors have one sign where the numbers are alike: of the mean of 262,144 equal numbers 0.25 % were lost.
 */
const sumInTwoSteps: Rewrite = ({ g }, node, inputs) => {
  const [x, axes] = inputs;
  if ((node.op !== "ReduceSum" && node.op !== "ReduceMean") || !axes) return null;
  const { shape, dtype } = node.outputs[0]!;
  const reduced = constantNumbers(axes)!;
  const [first, last] = [reduced[0]!, reduced.at(-1)!];
  const terms = sizeOf(reduced.map((axis) => x!.shape[axis]!));
  const rows = divisorNearRoot(terms);
  const isBlock = last - first === reduced.length - 1;
  if (dtype !== "float32" || !isBlock || terms < TWO_STEPS_FROM || rows < 8) return null;
  const [before, after] = [x!.shape.slice(0, first), x!.shape.slice(last + 1)].map(sizeOf);
  const inner = after === 1 ? [] : [after!]; // ONNX Runtime sums a last axis faster
  const parts = reshape(g, x!, [before! * rows, terms / rows, ...inner]);
  const sums = reshape(g, reduce(g, node.op, parts, [1]), [before!, rows, ...inner]);
  return [reshape(g, reduce(g, node.op, sums, [1]), shape)];
};

/** The largest divisor of `size` that is not above its square root. */
function divisorNearRoot(size: number): number {
  let divisor = Math.floor(Math.sqrt(size));
  while (size % divisor !== 0) divisor--;
  return divisor;
}

/**
 * Computes a large elementwise product again for the weight gradient that reads it, from operands that the backward pass
 * keeps anyway (of the Gelu): a fifth of a ViT's activations need not wait in memory. The operands change places,
 * which keeps the two products apart.
 */
const repeatProduct: Rewrite = (context, node, inputs) => {
  if (node.op !== "Gemm" || node.attributes.transA !== 1 || inputs.length > 2) return null;
  const product = node.inputs[1]!.node;
  const kept = (i: number) => context.uses(product?.inputs[i]) > 1;
  if (product?.op !== "Mul" || context.uses(node.inputs[1]) < 2) return null;
  if (sizeOf(node.inputs[1]!.shape) < REPEAT_FROM || !kept(0) || !kept(1)) return null;
  const [x, y] = product.inputs.map((value) => context.map(value!));
  const again = binary(context.g, "Mul", y!, x!);
  const sides = [inputs[0]!, again];
  return context.g.append(node, sides, node.outputs);
};

/** Takes sums out of large matrix products. */
export const separateSums = (program: Program): Program => rebuild(program, splitSum);

/**
 * The same for a card, before products get 16 bits: a kernel adds the sum in float32. What is moved first keeps its sum, so that no
 * pass over memory is spent on it, and 16-bit numbers are moved.
 */
export function separateSumsForCard(program: Program): Program {
  const nodes = liveNodes(program.graph, program.outputs);
  const moved = new Set(nodes.flatMap((node) => (node.op === "Reshape" ? node.inputs[0]! : [])));
  return rebuild(program, (context, node, inputs) =>
    moved.has(node.outputs[0]!) ? null : splitSum(context, node, inputs),
  );
}

/** Gives an optimized program the form that ONNX Runtime's CPU kernels run fastest; the values stay the same to rounding. */
export const tuneForCpu = (program: Program): Program =>
  [sumInTwoSteps, sumByProduct, repeatProduct].reduce(
    (p, pass) => rebuild(p, pass),
    separateSums(program),
  );
