import { DmaeError } from "@dmae/core";
import type { Trace } from "../tracing/trace.ts";
import { cast } from "./build.ts";
import { Graph, liveNodes, type Node, sameShape, sizeOf, type Value } from "./graph.ts";

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
  for (const [i, input] of a.graph.inputs.entries()) unifier.input(input, b.graph.inputs[i]!);
  for (const [i, node] of nodesA.entries()) unifier.node(node, nodesB[i]!);
  const outputs = a.outputs.map((value, i) => unifier.value(value, b.outputs[i]!));
  return {
    graph: unifier.graph,
    outputs,
    outputNames: a.outputNames,
    dimensionName: (value, axis) => unifier.dimensions.get(value)?.[axis] ?? null,
  };
}

class Unifier {
  readonly graph = new Graph();
  /** Names of the dimensions of new values that depend on the batch, null for the others. */
  readonly dimensions = new Map<Value, (string | null)[]>();
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

  input(a: Value, b: Value): void {
    this.nameDimensions(this.mapped.get(a)!, a, b);
  }

  private nameDimensions(value: Value, a: Value, b: Value): Value {
    const names = a.shape.map((d, i) => this.dimensionName(d, b.shape[i]!));
    this.dimensions.set(value, names);
    return value;
  }

  /** `batch`, `2*batch + 1`; sizes that are no line through both get a name of their own. */
  private dimensionName(a: number, b: number): string | null {
    if (a === b) return null;
    const slope = (b - a) / (this.batchB - this.batchA);
    if (!Number.isInteger(slope)) return `${BATCH}:${a}:${b}`;
    const offset = a - slope * this.batchA;
    const scaled = slope === 1 ? BATCH : `${slope}*${BATCH}`;
    return offset === 0 ? scaled : `${scaled} ${offset > 0 ? "+" : "-"} ${Math.abs(offset)}`;
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
    const outputs = this.graph.append(a, inputs, a.outputs);
    outputs.forEach((output, i) => {
      this.mapped.set(a.outputs[i]!, output);
      this.nameDimensions(output, a.outputs[i]!, b.outputs[i]!);
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
    if (a.splat && b.splat && a.constant![0] === b.constant![0])
      return this.nameDimensions(this.fill(a, b), a, b);
    const step = isPrefix(a, b) ? stepOf(b) : null;
    if (step !== null) return this.nameDimensions(this.ramp(a, b, step), a, b);
    return this.fail(`constants of shape [${a.shape}]`);
  }

  /** A uniform constant whose shape depends on the batch. */
  private fill(a: Value, b: Value): Value {
    const shape = this.linear(this.graph.integers(a.shape), this.graph.integers(b.shape));
    const one = this.graph.splat(a.dtype, [], a.constant![0]!);
    return this.shaped("Expand", [one, shape], a.shape);
  }

  /** An operator whose shape follows from values that are computed; `shape` is that of the first batch size. */
  private shaped(op: "Expand" | "Range" | "Reshape", inputs: Value[], shape: readonly number[]) {
    const node = { op, domain: "", attributes: {} } as const;
    return this.graph.append(node, inputs, [{ shape, dtype: inputs[0]!.dtype }])[0]!;
  }

  /** Integers in equal steps, as many as the batch has rows: where each row begins. */
  private ramp(a: Value, b: Value, step: number): Value {
    const start = Number(a.constant![0]);
    const end = ({ shape }: Value) => this.graph.integers([start + step * sizeOf(shape)]);
    const scalar = this.graph.integers([]);
    const limit = this.graph.add("Reshape", [this.linear(end(a), end(b)), scalar]);
    const from = this.graph.scalar("int64", start);
    const by = this.graph.scalar("int64", step);
    const line = this.shaped("Range", [from, limit, by], [sizeOf(a.shape)]);
    const shape = this.linear(this.graph.integers(a.shape), this.graph.integers(b.shape));
    const shaped = this.shaped("Reshape", [line, shape], a.shape);
    return cast(this.graph, shaped, a.dtype);
  }

  /** slope * batch + offset, element by element. */
  private linear(a: Value, b: Value): Value {
    const [x, y] = [integersOf(a), integersOf(b)];
    const slope = x.map((v, i) => (y[i]! - v) / (this.batchB - this.batchA));
    if (!slope.every(Number.isInteger)) this.fail("shapes (not in proportion)");
    const offset = x.map((v, i) => v - slope[i]! * this.batchA);
    const scaled = this.graph.add("Mul", [this.batchSize(), this.graph.integers(slope)]);
    return this.graph.add("Add", [scaled, this.graph.integers(offset)]);
  }

  private reshapeTarget(a: Value, b: Value): Value {
    const [x, y] = [integersOf(a), integersOf(b)];
    const differing = x.flatMap((v, i) => (v === y[i] ? [] : [i]));
    if (differing.length !== 1) return this.value(a, b);
    return this.graph.integers(x.map((v, i) => (i === differing[0] ? -1 : v)));
  }

  private batchSize(): Value {
    const input = this.graph.inputs[0]!;
    this.batch ??= this.graph.add("Shape", [input], { start: 0, end: 1 });
    return this.batch;
  }
}

const integersOf = (value: Value): number[] => Array.from(value.constant as BigInt64Array, Number);

/** True where numbers of one batch size begin those of a larger one. */
const isPrefix = (a: Value, b: Value): boolean =>
  a.dtype !== "int64" &&
  !a.splat &&
  !b.splat &&
  a.constant!.length < b.constant!.length &&
  a.constant!.every((v, i) => v === b.constant![i]);

/** The step between neighbours, where all are integers and it is the same everywhere. */
function stepOf({ constant }: Value): number | null {
  const values = constant as Float32Array | Int32Array;
  const [first, second] = values as ArrayLike<number> as [number, number];
  const step = second - first;
  const even = values.every((v, i) => Number.isInteger(v) && v === first + i * step);
  return even ? step : null;
}

function sameData(a: Value, b: Value): boolean {
  const [x, y] = [a.constant!, b.constant!];
  if (x === y) return true;
  if (a.splat !== b.splat || x.length !== y.length || sizeOf(a.shape) !== sizeOf(b.shape))
    return false;
  return x.every((v, i) => Object.is(v, y[i]));
}
