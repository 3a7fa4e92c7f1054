import { uniformValue } from "../graph/evaluate.ts";
import { type Node, sameShape, sizeOf, type Value } from "../graph/graph.ts";
import { widenedFrom } from "../graph/halve-precision.ts";
import { type Member, type Region, roleOf } from "./regions.ts";

/** What regions compute again instead of reading it. */
export interface Recomputed {
  /** Values that no region stores: those that read them compute them from what they are made of. */
  readonly values: ReadonlySet<Value>;
  /** Numbers for each row that are stored for that. */
  readonly stored: ReadonlySet<Value>;
}

/** Nothing is computed again. */
export const NOTHING: Recomputed = { values: new Set(), stored: new Set() };

/**
 * Finds elementwise results that only other regions read, and that these can compute from no more memory than they take: the
 * derivative of a GELU, for example, from the product in front of it, or normalised activations. A backward pass then reads
 * what the forward pass read, and less is kept between them.
 */
export function findRecomputed(
  regions: readonly Region[],
  readersOf: (value: Value) => readonly Node[],
  isResult: (value: Value) => boolean,
): Recomputed {
  const home = new Map(regions.flatMap((region) => region.members.map((m) => [m.node, region])));
  const values = new Set<Value>();
  const stored = new Set<Value>();
  const sources = new Set<Value>();
  for (const region of regions) {
    const members = new Map(region.members.map((member) => [member.node, member]));
    const outsideReaders = (value: Value) => readersOf(value).filter((node) => !members.has(node));
    const isStored = (value: Value) =>
      !values.has(value) && (isResult(value) || outsideReaders(value).length > 0);
    for (const { node } of region.members) {
      const [value] = node.outputs as [Value];
      const readers = outsideReaders(value).map((reader) => home.get(reader));
      if (isResult(value) || readers.length === 0 || sources.has(value)) continue;
      if (!isFull(value, region)) continue;
      const isFit = (reader: Region | undefined) =>
        reader !== undefined && sameShape(reader.space.shape, region.space.shape);
      const chain = readers.every(isFit) ? chainOf(value, members, isStored) : null;
      if (!chain || chain.sources.some((source) => values.has(source))) continue;
      if (!readers.every((reader) => isCheap(value, chain, reader!))) continue;
      for (const each of chain.made) values.add(each);
      for (const source of chain.sources) {
        sources.add(source);
        if (source.node && members.has(source.node)) stored.add(source);
      }
    }
  }
  return { values, stored };
}

const isFull = ({ shape, dtype }: Value, { space }: Region) =>
  dtype === "float32" && sameShape(shape, space.shape);

interface Chain {
  /** The value and what lies between it and the sources. */
  readonly made: readonly Value[];
  readonly sources: readonly Value[];
}

/** How a value is made of what memory holds; null where that takes more than elementwise operators. */
function chainOf(
  value: Value,
  members: ReadonlyMap<Node, Member>,
  isStored: (value: Value) => boolean,
): Chain | null {
  const made = new Set<Value>();
  const sources = new Set<Value>();
  const add = (each: Value, isFirst: boolean): boolean => {
    if (made.has(each) || sources.has(each)) return true;
    const member = each.node && members.get(each.node);
    const isColumn = each.shape.at(-1) === 1;
    if (!isFirst && (!member || isStored(each) || isColumn)) return Boolean(sources.add(each));
    const isElementwise = member?.task.kind === "elementwise" && each.node!.op !== "Cast";
    if (!isElementwise) return false;
    made.add(each);
    return each.node!.inputs.every((input) => add(input!, false));
  };
  return add(value, true) ? { made: [...made], sources: [...sources] } : null;
}

/** Whether a region that computes a value itself reads no more for it than the value takes. */
function isCheap(value: Value, { sources }: Chain, reader: Region): boolean {
  const read = new Set(reader.members.flatMap(({ node }) => node.inputs.map((v) => stem(v!))));
  const more = sources
    .filter((v) => uniformValue(v) === null && roleOf(v.shape, reader.space) === "full")
    .map(stem)
    .filter((v) => !read.has(v));
  return more.reduce((n, v) => n + bytesOf(v), 0) <= bytesOf(value);
}

/** What is loaded for a value. */
const stem = (value: Value) => widenedFrom(value) ?? value;

const bytesOf = ({ shape, dtype }: Value) => sizeOf(shape) * (dtype === "float32" ? 4 : 2);
