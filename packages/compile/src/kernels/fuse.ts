import { KERNELS } from "../graph/build.ts";
import { type Node, sizeOf, type Value } from "../graph/graph.ts";
import { Copy, type Program } from "../graph/optimize.ts";
import { COMPOSITE } from "../ops/composite.ts";
import { emitAttention } from "./attention.ts";
import { emitConvolution } from "./convolution.ts";
import { emitKernel } from "./emit-c.ts";
import { emitCuda } from "./emit-cuda.ts";
import type { Kernel } from "./kernel.ts";
import { KernelLibrary } from "./library.ts";
import { MOST_AXES } from "./native-session.ts";
import { emitProduct } from "./product.ts";
import { findRecomputed, NOTHING, type Recomputed } from "./recompute.ts";
import { findRegions, isRegion, LONGEST_ROW, memberOf, type Region, type Step } from "./regions.ts";

/** A kernel takes and gives at most so many tensors (`MAX_OPERANDS` of operators.h). */
const MOST_OPERANDS = 64;

const isPossible = ({ inputs, outputs, scratch }: Kernel) =>
  Math.max(inputs.length, outputs.length + (scratch ? 1 : 0)) <= MOST_OPERANDS &&
  outputs.every(({ shape }) => shape.length <= MOST_AXES);

/** A program some of whose nodes are generated operators. */
export interface FusedProgram {
  readonly program: Program;
  readonly library: KernelLibrary;
  /** Nodes that are generated operators. */
  readonly count: number;
  /** Numbers that they write. */
  readonly written: number;
}

/** Sums of fewer numbers stay ONNX Runtime's. */
const SUM_FROM = 1 << 14;

/** Says of a value whether anything outside of its region reads it. */
type IsRead = (value: Value) => boolean;

/** Makes steps of a program kernels. */
export interface Emitter {
  /** The kernel of a step; null for what stays ONNX Runtime's. `again` are values that it computes instead of reading them. */
  kernelOf(step: Step, isReadOf: (region: Region) => IsRead, again: Recomputed): Kernel | null;
  /** Whether memory is slower than arithmetic: regions then compute again what takes more memory than it is made of, and take sums in. */
  readonly sparesMemory: boolean;
}

/** Kernels in C: regions, large matrix products (shared by `threads`), attention and convolutions. */
export const forCpu = (threads: number): Emitter => ({
  kernelOf: (step, isReadOf) =>
    isRegion(step)
      ? emitKernel(step, isReadOf(step))
      : (emitProduct(step, threads) ?? emitAttention(step) ?? emitConvolution(step)),
  sparesMemory: false,
});

/** Kernels in CUDA: regions only. Products and convolutions on a card are cuBLAS's and cuDNN's. */
export const forCard: Emitter = {
  kernelOf: (step, isReadOf, again) =>
    isRegion(step) ? emitCuda(step, isReadOf(step), again.values) : null,
  sparesMemory: true,
};

/**
 * A node as a region by itself where ONNX Runtime does not know it, or takes several times as long: sums over the rows of a large
 * matrix.
 */
function aloneAsRegion(step: Step): Step {
  const member = isRegion(step) ? null : memberOf(step);
  if (!member) return step;
  const { task, space, node } = member;
  const isSum = task.kind === "sumColumns" && space.columns <= LONGEST_ROW;
  const isWorth = isSum && space.rows * space.columns >= SUM_FROM;
  return isWorth || node.domain === COMPOSITE ? { space, members: [member] } : step;
}

const nodesOf = (step: Step): readonly Node[] =>
  isRegion(step) ? step.members.map(({ node }) => node) : [step];

/**
 * Replaces every region of elementwise operators and row reductions by one generated operator: what ONNX Runtime would
 * compute in a pass over memory for each operator becomes one pass for all. What else becomes a kernel is up to `emitter`.
 */
export function fuse(program: Program, emitter: Emitter): FusedProgram {
  const steps = findRegions(program, emitter.sparesMemory).map(aloneAsRegion);
  const readersOf = findReaders(steps);
  const results = new Set(program.outputs);
  const again = emitter.sparesMemory
    ? findRecomputed(steps.filter(isRegion), readersOf, (value) => results.has(value))
    : NOTHING;
  const isReadOf = (region: Region): IsRead => {
    const inside = new Set(nodesOf(region));
    return (value) =>
      results.has(value) ||
      again.stored.has(value) ||
      (!again.values.has(value) && readersOf(value).some((node) => !inside.has(node)));
  };
  const copy = new Copy(program.graph);
  const library = new KernelLibrary();
  let count = 0;
  let written = 0;
  for (const step of steps) {
    const kernel = emitter.kernelOf(step, isReadOf, again);
    if (!kernel || !isPossible(kernel)) {
      // Its nodes would read what no kernel stores.
      if (again.values.size > 0 && isRegion(step))
        return fuse(program, { ...emitter, sparesMemory: false });
      for (const node of nodesOf(step)) copy.node(node);
      continue;
    }
    const { inputs, outputs, scratch } = kernel;
    if (outputs.length === 0) continue; // all of it is computed again
    const op = library.add(kernel);
    const all = [...outputs, ...(scratch ? [{ shape: scratch, dtype: "float32" as const }] : [])];
    copy.node({ op, domain: KERNELS, inputs, attributes: {}, outputs: all });
    count++;
    written += outputs.reduce((n, { shape }) => n + sizeOf(shape), 0);
  }
  const outputs = program.outputs.map((value) => copy.map(value));
  return { program: { graph: copy.graph, outputs }, library, count, written };
}

function findReaders(steps: readonly Step[]): (value: Value) => readonly Node[] {
  const readers = new Map<Value, Node[]>();
  for (const node of steps.flatMap(nodesOf))
    for (const value of node.inputs)
      if (value) readers.set(value, [...(readers.get(value) ?? []), node]);
  return (value) => readers.get(value) ?? [];
}
