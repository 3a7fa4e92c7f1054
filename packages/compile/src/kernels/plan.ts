import { sameShape, type Value } from "../graph/graph.ts";
import type { Region, Space } from "./regions.ts";
import { type Term, Terms, termsOf } from "./terms.ts";

/** Where a term's value goes: to every element, to one number for each row, or into the sums of columns. */
export interface Target {
  readonly term: Term;
  readonly output: number;
  readonly kind: "full" | "column" | "sum";
}

/** A full term as one walk over a row sees it. */
export interface Seen {
  readonly term: Term;
  /** Loaded, computed in this walk, or kept from the one that computed it. */
  readonly from: "load" | "compute" | "keep";
}

/** A region as walks over its rows; what is left to an emitter is how a machine walks. */
export interface Plan {
  readonly space: Space;
  readonly terms: readonly Term[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly targets: readonly Target[];
  /** How many walks over a row there are. */
  readonly walks: number;
  /** Full terms that are computed in one walk and read in a later one. */
  readonly kept: ReadonlySet<Term>;
  /** Whether nothing depends on rows: the elements are then one long line. */
  readonly isFlat: boolean;
  /** Pairs of an input and an output that may share a buffer. */
  readonly overwrites: readonly (readonly [input: number, output: number])[];
  /** The full terms that a walk needs, in the order in which it makes them. */
  seenIn(walk: number): readonly Seen[];
  /** Row terms that are known before a walk, other than by a reduction. */
  columnsBefore(walk: number): readonly Term[];
  /** Row terms that a walk reduces full ones to. */
  reducedIn(walk: number): readonly Term[];
}

/** Plans the walks of a region; `again` are values of other regions that it computes instead of reading them. */
export function planRegion(
  region: Region,
  isRead: (value: Value) => boolean,
  again: ReadonlySet<Value> = new Set(),
): Plan {
  const made = new Terms();
  const inputs: Value[] = [];
  const of = termsOf(region, made, inputs, again);
  const { space } = region;
  const outputs: Value[] = [];
  const targets: Target[] = [];
  for (const { node, task } of region.members)
    for (const value of node.outputs) {
      const term = of.get(value);
      if (!term || !isRead(value)) continue;
      // By the shape: the term of a full matrix may be one number for each row, or for all.
      const isFull = sameShape(value.shape, space.shape);
      const kind = task.kind === "sumColumns" ? "sum" : isFull ? "full" : "column";
      targets.push({ term, output: outputs.length, kind });
      outputs.push(value);
    }
  const terms = made.all;
  const readers = readersOf(terms, targets);
  const column = terms.filter((t) => t.extent === "column");
  return {
    ...{ space, terms, inputs, outputs, targets },
    walks: countWalks(terms, targets),
    kept: keptTerms(terms, readers),
    isFlat: isFlat(terms, targets),
    overwrites: findOverwrites(terms, targets, readers, inputs, outputs),
    seenIn: (walk) => terms.flatMap((term) => seenIn(term, walk, readers)),
    columnsBefore: (walk) => column.filter((t) => t.phase === walk && t.reduce === null),
    reducedIn: (walk) => column.filter((t) => t.phase === walk + 1 && t.reduce !== null),
  };
}

/** The walks over a row in which the value of each term is read. */
type Readers = ReadonlyMap<Term, ReadonlySet<number>>;

function readersOf(terms: readonly Term[], targets: readonly Target[]): Readers {
  const walks = new Map(terms.map((term) => [term, new Set<number>()]));
  for (const reader of terms)
    for (const term of reader.operands)
      walks.get(term)!.add(reader.reduce ? reader.phase - 1 : reader.phase);
  for (const { term } of targets) walks.get(term)!.add(term.phase);
  return walks;
}

const countWalks = (terms: readonly Term[], targets: readonly Target[]): number =>
  1 +
  Math.max(
    0,
    ...terms.map((t) => (t.extent === "full" ? t.phase : t.reduce ? t.phase - 1 : 0)),
    ...targets.map(({ term, kind }) => (kind === "column" ? 0 : term.phase)),
  );

function keptTerms(terms: readonly Term[], readers: Readers): Set<Term> {
  const isReadLater = (t: Term) => [...readers.get(t)!].some((walk) => walk > t.phase);
  return new Set(terms.filter((t) => t.extent === "full" && t.load === null && isReadLater(t)));
}

/** A full term is needed in the walk of its own phase, and where a later one reads it. */
function seenIn(term: Term, walk: number, readers: Readers): Seen[] {
  if (term.extent !== "full") return [];
  const isMade = term.load === null && term.phase === walk;
  if (!isMade && !readers.get(term)!.has(walk)) return [];
  return [{ term, from: term.load ? "load" : isMade ? "compute" : "keep" }];
}

/** An output may lie where an input of the same form lies that no later walk reads. */
function findOverwrites(
  terms: readonly Term[],
  targets: readonly Target[],
  readers: Readers,
  inputs: readonly Value[],
  outputs: readonly Value[],
): [number, number][] {
  const whole = terms.filter((t) => t.load?.role === "full");
  return targets
    .filter(({ kind }) => kind === "full")
    .flatMap(({ term, output }) =>
      whole
        .filter((t) => inputs[t.load!.input]!.dtype === outputs[output]!.dtype)
        .filter((t) => [...readers.get(t)!].every((walk) => walk <= term.phase))
        .map((t): [number, number] => [t.load!.input, output]),
    );
}

function isFlat(terms: readonly Term[], targets: readonly Target[]): boolean {
  const plain = terms.every((t) => t.extent !== "column" && t.load?.role !== "row");
  return plain && targets.every(({ kind }) => kind === "full");
}

/** The name of a term in C. */
export const nameOf = (term: Term): string => `v${term.id}`;

/** A line of C that computes a term from those it reads. */
export const assign = (term: Term, code = term.code(...term.operands.map(nameOf))): string =>
  `const float ${nameOf(term)} = ${code};`;
