import { isHalf } from "../graph/build.ts";
import { constantNumbers } from "../graph/evaluate.ts";
import { liveNodes, type Node, sameShape, sizeOf, type Value } from "../graph/graph.ts";
import type { Program } from "../graph/optimize.ts";
import { COMPOSITE } from "../ops/composite.ts";
import { OPERATORS } from "./operators.ts";

/** Rows longer than this are not kept on the stack of a kernel, nor summed in parts. */
export const LONGEST_ROW = 8192;

/** A matrix that a kernel walks over row by row; tensors of a higher rank are seen as one. */
export interface Space {
  readonly rows: number;
  readonly columns: number;
  readonly shape: readonly number[];
}

/**
 * How an operand lies in a space: every element, one number for all, one per column or one per row.
 */
export type Role = "full" | "scalar" | "row" | "column";

/** What a node does within a kernel. */
export type Task =
  | { readonly kind: "elementwise" }
  /** Sums, means or maxima along rows. */
  | { readonly kind: "reduceRows"; readonly how: "sum" | "mean" | "max" }
  /** A product with one column of numbers. */
  | { readonly kind: "dotRows"; readonly alpha: number }
  /** Sums of columns. */
  | { readonly kind: "sumColumns" }
  | { readonly kind: "softmax" }
  | { readonly kind: "layerNorm"; readonly epsilon: number };

/** A node that a kernel can compute. */
export interface Member {
  readonly node: Node;
  readonly task: Task;
  readonly space: Space;
}

/** Nodes that one kernel computes; in the order of the graph. */
export interface Region {
  readonly space: Space;
  readonly members: readonly Member[];
}

/** A step of the program: a region, or one node that stays as it is. */
export type Step = Region | Node;

export const isRegion = (step: Step): step is Region => "members" in step;

const spaceOf = (shape: readonly number[]): Space | null => {
  const columns = shape.at(-1);
  if (columns === undefined || columns < 1) return null;
  return { rows: sizeOf(shape) / columns, columns, shape };
};

/** How a value of `shape` lies in `space`, null where it does in no way. */
export function roleOf(shape: readonly number[], space: Space): Role | null {
  if (sameShape(shape, space.shape)) return "full";
  const size = sizeOf(shape);
  if (size === 1) return "scalar";
  if (size === space.columns && shape.at(-1) === space.columns) return "row";
  const isColumn = shape.length === space.shape.length && shape.at(-1) === 1;
  return isColumn && sameShape(shape.slice(0, -1), space.shape.slice(0, -1)) ? "column" : null;
}

const lastAxis = (node: Node) => {
  const axes = node.inputs[1] ? constantNumbers(node.inputs[1]) : null;
  const rank = node.inputs[0]!.shape.length;
  return axes?.length === 1 && (axes[0]! + rank) % rank === rank - 1;
};

/** What a kernel would do for `node`, null for what it cannot do. */
export function memberOf(node: Node): Member | null {
  const known = node.domain === "" || (node.domain === COMPOSITE && node.op in OPERATORS);
  if (known && node.op === "Cast") return narrowing(node);
  if (!known || node.outputs.some((v) => v.dtype !== "float32")) return null;
  const [x, y] = node.inputs;
  if (x?.dtype !== "float32") return null;
  const rank = x.shape.length;
  const member = (task: Task, shape = x.shape): Member | null => {
    const space = spaceOf(shape);
    return space && { node, task, space };
  };
  switch (node.op) {
    case "ReduceSum":
    case "ReduceMean":
    case "ReduceMax": {
      const how = { ReduceSum: "sum", ReduceMean: "mean", ReduceMax: "max" } as const;
      if (rank > 1 && lastAxis(node) && node.attributes.keepdims === 1)
        return member({ kind: "reduceRows", how: how[node.op] });
      const overRows = node.op === "ReduceSum" && rank === 2 && `${constantNumbers(y!)}` === "0";
      return overRows ? member({ kind: "sumColumns" }) : null;
    }
    case "Gemm": {
      const { transA, transB, alpha } = node.attributes;
      const plain = node.inputs.length === 2 && transA === 0 && transB === 0;
      return plain && y!.shape[1] === 1 ? member({ kind: "dotRows", alpha: alpha.float }) : null;
    }
    case "Softmax":
      return node.attributes.axis === rank - 1 ? member({ kind: "softmax" }) : null;
    case "LayerNormalization": {
      return member({ kind: "layerNorm", epsilon: node.attributes.epsilon.float });
    }
    default: {
      if (OPERATORS[node.op]?.length !== node.inputs.length) return null;
      const found = member({ kind: "elementwise" }, node.outputs[0]!.shape);
      const fits = (v: Value | null) => v?.dtype === "float32" && roleOf(v.shape, found!.space);
      return found && sizeOf(found.space.shape) > 1 && node.inputs.every(fits) ? found : null;
    }
  }
}

/** Rounding to 16 bits; what widens such numbers belongs to the readers (`termsOf`). */
function narrowing(node: Node): Member | null {
  const { dtype, shape } = node.outputs[0]!;
  const space = spaceOf(shape);
  const isNarrowing = isHalf(dtype) && node.inputs[0]!.dtype === "float32";
  return space && isNarrowing && sizeOf(shape) > 1
    ? { node, task: { kind: "elementwise" }, space }
    : null;
}

const keepsRows = ({ task, space }: Member) =>
  task.kind === "elementwise" || space.columns <= LONGEST_ROW;

/**
 * True where a member of the same kernel can read `value`, which `producer` makes: at the same element or row, not after all rows.
 */
function isReadable(producer: Member, value: Value, consumer: Member): boolean {
  if (producer.task.kind === "sumColumns") return false;
  const role = roleOf(value.shape, consumer.space);
  if (consumer.task.kind === "elementwise") return role === "full" || role === "column";
  return role === "full" && value === consumer.node.inputs[0];
}

/** Nodes joined to regions so far, as a graph of groups. */
class Groups {
  private readonly parent: number[];
  /** Groups that a group reads from directly; entries may be stale names. */
  private readonly sources: Set<number>[];
  readonly members: Member[][];

  constructor(count: number) {
    this.parent = Array.from({ length: count }, (_, i) => i);
    this.sources = Array.from({ length: count }, () => new Set());
    this.members = Array.from({ length: count }, () => []);
  }

  find(i: number): number {
    let root = i;
    while (this.parent[root] !== root) root = this.parent[root]!;
    this.parent[i] = root;
    return root;
  }

  addSource(group: number, source: number): void {
    this.sources[group]!.add(source);
  }

  sourcesOf(group: number): Set<number> {
    const fresh = new Set([...this.sources[group]!].map((i) => this.find(i)));
    fresh.delete(group);
    this.sources[group] = fresh;
    return fresh;
  }

  /** Whether `to` depends on `from` other than directly. */
  private detour(from: number, to: number): boolean {
    const seen = new Set<number>();
    const stack = [...this.sourcesOf(to)].filter((i) => i !== from);
    for (let group = stack.pop(); group !== undefined; group = stack.pop()) {
      if (group === from) return true;
      if (seen.has(group)) continue;
      seen.add(group);
      stack.push(...this.sourcesOf(group));
    }
    return false;
  }

  /** Makes one group of two, unless a third would then both need it and be needed by it. */
  join(a: number, b: number): number | null {
    if (this.detour(a, b) || this.detour(b, a)) return null;
    this.parent[b] = a;
    for (const source of this.sources[b]!) this.sources[a]!.add(source);
    this.members[a]!.push(...this.members[b]!);
    return a;
  }
}

/**
 * Cuts a program into regions, each of which one kernel computes in one pass over memory, and single nodes; in an order in
 * which they can run. A region's nodes share a space and feed each other; no path leaves it and comes back.
 *
 * @param withSums whether sums of columns also join regions that read what they read, which spares a pass over memory
 */
export function findRegions(program: Program, withSums = false): Step[] {
  const nodes = liveNodes(program.graph, program.outputs);
  const indexOf = new Map(nodes.map((node, i) => [node, i]));
  const groups = new Groups(nodes.length);
  const members = nodes.map((node) => {
    const member = memberOf(node);
    return member && keepsRows(member) ? member : null;
  });
  nodes.forEach((node, i) => {
    const member = members[i];
    if (member) groups.members[i]!.push(member);
    for (const value of node.inputs) if (value?.node) groups.addSource(i, indexOf.get(value.node)!);
    if (!member) return;
    for (const value of node.inputs) joinProducer(value, member, i);
  });
  if (withSums) for (const [i, member] of members.entries()) joinReaders(member, i);

  function joinProducer(value: Value | null, member: Member, i: number): void {
    const from = value?.node ? indexOf.get(value.node)! : -1;
    const producer = members[from];
    if (!value || !producer || groups.find(from) === groups.find(i)) return;
    const { rows, columns } = member.space;
    if (producer.space.rows !== rows || producer.space.columns !== columns) return;
    if (!sameShape(producer.space.shape, member.space.shape)) return;
    if (!isReadable(producer, value, member)) return;
    const [reader, source] = [groups.find(i), groups.find(from)];
    if (readable(reader, source) && readable(source, reader)) groups.join(source, reader);
  }

  function joinReaders(member: Member | null | undefined, i: number): void {
    const isAlone = groups.members[groups.find(i)]!.length === 1;
    if (member?.task.kind !== "sumColumns" || !isAlone) return;
    const [value] = member.node.inputs;
    const isBeside = (other: Member | null | undefined) =>
      other?.node.inputs.includes(value!) && sameShape(other.space.shape, member.space.shape);
    const found = members.findIndex((other, j) => j !== i && isBeside(other));
    if (found < 0) return;
    const [reader, sum] = [groups.find(found), groups.find(i)];
    if (readable(reader, sum) && readable(sum, reader)) groups.join(reader, sum);
  }

  /** Whether all that the members of one group read of the other's can be read within a kernel. */
  function readable(reader: number, source: number): boolean {
    return groups.members[reader]!.every((consumer) =>
      consumer.node.inputs.every((value) => {
        const from = value?.node ? indexOf.get(value.node)! : -1;
        if (from < 0 || groups.find(from) !== source) return true;
        return isReadable(members[from]!, value!, consumer);
      }),
    );
  }

  return inOrder(nodes, groups);
}

/** Groups as steps: sources first, otherwise in the order of the graph. */
function inOrder(nodes: readonly Node[], groups: Groups): Step[] {
  const steps: Step[] = [];
  const done = new Set<number>();
  const waiting = new Set<number>();
  const position = new Map(nodes.map((node, i) => [node, i]));
  const emit = (start: number) => {
    const stack = [start];
    while (stack.length > 0) {
      const group = stack.at(-1)!;
      const missing = done.has(group)
        ? []
        : [...groups.sourcesOf(group)].filter((s) => !done.has(s));
      if (missing.length > 0) {
        waiting.add(group);
        if (missing.some((source) => waiting.has(source)))
          throw new Error("two regions wait for each other");
        stack.push(...missing);
        continue;
      }
      stack.pop();
      waiting.delete(group);
      if (done.has(group)) continue;
      done.add(group);
      const members = groups.members[group]!;
      if (members.length < 2) {
        steps.push(nodes[group]!);
        continue;
      }
      members.sort((a, b) => position.get(a.node)! - position.get(b.node)!);
      steps.push({ space: members[0]!.space, members });
    }
  };
  nodes.forEach((_, i) => {
    emit(groups.find(i));
  });
  return steps;
}
