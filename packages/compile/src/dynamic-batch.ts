import { DmaeError } from "@dmae/core";
import { Graph, liveNodes, type Node, sameShape, sizeOf, type Value } from "./graph.ts";
import type { Trace } from "./trace.ts";

/** The name of the open dimension. */
export const BATCH = "batch";

/** A trace whose first dimension is open. */
export interface DynamicTrace extends Trace {
  readonly dimensionName: (value: Value, axis: number) => string | null;
}

/**
 * One graph for every batch size from traces at two of them. The traces must have the same nodes;
 * integer constants (shapes) that differ are linear in the batch size and are computed from the shape
 * of the first input, or are -1 where a reshape can infer them. Other differences are errors.
 */
export function unifyBatch(
  caller: string,
  a: Trace,
  b: Trace,
  batchA: number,
  batchB: number,
): DynamicTrace {
  const unifier = new Unifier(caller, a, batchA, batchB);
  const nodesA = liveNodes(a.graph, a.outputs);
  const nodesB = liveNodes(b.graph, b.outputs);
  if (nodesA.length !== nodesB.length) unifier.fail("its operations");
  for (const [i, input] of a.graph.inputs.entries()) unifier.pair(input, b.graph.inputs[i]!);
  for (const [i, node] of nodesA.entries()) unifier.node(node, nodesB[i]!);
  const outputs = a.outputs.map((value, i) => unifier.value(value, b.outputs[i]!));
  const open = unifier.open;
  return {
    graph: unifier.graph,
    outputs,
    outputNames: a.outputNames,
    dimensionName: (value, axis) => (open.get(value)?.[axis] ? BATCH : null),
  };
}

class Unifier {
  readonly graph = new Graph();
  /** Which dimensions of new values depend on the batch. */
  readonly open = new Map<Value, boolean[]>();
  private readonly mapped = new Map<Value, Value>();
  private batch: Value | null = null;

  constructor(
    private readonly caller: string,
    a: Trace,
    private readonly batchA: number,
    private readonly batchB: number,
  ) {
    for (const input of a.graph.inputs)
      this.mapped.set(input, this.graph.input(input.name!, input.dtype, input.shape));
  }

  fail(what: string): never {
    throw new DmaeError(
      "shape",
      `${this.caller}: with dynamicBatch the function must not depend on the batch size, but ${what} do; ` +
        "export it for one batch size",
    );
  }

  pair(a: Value, b: Value): void {
    const value = this.mapped.get(a)!;
    this.open.set(
      value,
      a.shape.map((d, i) => d !== b.shape[i]),
    );
  }

  node(a: Node, b: Node): void {
    const same =
      a.op === b.op &&
      a.inputs.length === b.inputs.length &&
      JSON.stringify(a.attributes) === JSON.stringify(b.attributes);
    if (!same) this.fail(`its operations (${a.op})`);
    const inputs = a.inputs.map((value, i) => {
      const other = b.inputs[i];
      if (!value || !other) return null;
      return a.op === "Reshape" && i === 1
        ? this.reshapeTarget(value, other)
        : this.value(value, other);
    });
    const outputs = this.graph.addNode(a.op, inputs, a.attributes, a.outputs, a.domain);
    outputs.forEach((output, i) => {
      this.mapped.set(a.outputs[i]!, output);
      this.pair(a.outputs[i]!, b.outputs[i]!);
    });
  }

  value(a: Value, b: Value): Value {
    if (!a.constant !== !b.constant) this.fail("its constants");
    const known = this.mapped.get(a);
    if (known && !a.constant) return known;
    const equal = sameShape(a.shape, b.shape) && sameData(a, b);
    if (equal) {
      return a.splat
        ? this.graph.splat(a.dtype, a.shape, a.constant![0]!)
        : this.graph.constant(a.dtype, a.shape, a.constant!, a.name);
    }
    if (a.dtype === "int64" && sameShape(a.shape, b.shape)) return this.linear(a, b);
    if (a.splat && b.splat && a.constant![0] === b.constant![0]) return this.fill(a, b);
    return this.fail(`constants of shape [${a.shape}]`);
  }

  /** A uniform constant whose shape depends on the batch. */
  private fill(a: Value, b: Value): Value {
    const shape = this.linear(this.graph.integers(a.shape), this.graph.integers(b.shape));
    const one = this.graph.splat(a.dtype, [], a.constant![0]!);
    return this.graph.add("Expand", [one, shape], {}, a.shape, a.dtype);
  }

  /** slope * batch + offset, element by element. */
  private linear(a: Value, b: Value): Value {
    const [x, y] = [integersOf(a), integersOf(b)];
    const slope = x.map((v, i) => (y[i]! - v) / (this.batchB - this.batchA));
    if (!slope.every(Number.isInteger)) this.fail("shapes (not in proportion)");
    const offset = x.map((v, i) => v - slope[i]! * this.batchA);
    const scaled = this.graph.add(
      "Mul",
      [this.batchSize(), this.graph.integers(slope)],
      {},
      a.shape,
      "int64",
    );
    return this.graph.add("Add", [scaled, this.graph.integers(offset)], {}, a.shape, "int64");
  }

  private reshapeTarget(a: Value, b: Value): Value {
    const [x, y] = [integersOf(a), integersOf(b)];
    const differing = x.flatMap((v, i) => (v === y[i] ? [] : [i]));
    if (differing.length !== 1) return this.value(a, b);
    return this.graph.integers(x.map((v, i) => (i === differing[0] ? -1 : v)));
  }

  private batchSize(): Value {
    const input = this.graph.inputs[0]!;
    this.batch ??= this.graph.add("Shape", [input], { start: 0, end: 1 }, [1], "int64");
    return this.batch;
  }
}

const integersOf = (value: Value): number[] => Array.from(value.constant as BigInt64Array, Number);

function sameData(a: Value, b: Value): boolean {
  const [x, y] = [a.constant!, b.constant!];
  if (x === y) return true;
  if (a.splat !== b.splat || x.length !== y.length || sizeOf(a.shape) !== sizeOf(b.shape))
    return false;
  return x.every((v, i) => Object.is(v, y[i]));
}
