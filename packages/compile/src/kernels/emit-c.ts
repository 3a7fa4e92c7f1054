import { uniformValue } from "../graph/evaluate.ts";
import { sameShape, sizeOf, type Value } from "../graph/graph.ts";
import { type Kernel, literal, makeKernel } from "./kernel.ts";
import { OPERATORS } from "./operators.ts";
import { type Region, type Role, roleOf, type Space, type Task } from "./regions.ts";

/** Elements that one part of a kernel works on: enough to be worth a thread, few enough to share the work evenly. */
const PART = 1 << 14;

/** Numbers that a kernel keeps on its stack from one walk over a row to the next (256 KiB). */
const MOST_KEPT = 1 << 16;

/** Parts of a kernel that sums columns: each leaves a row of partial sums. */
const MOST_PARTIAL = 16;

/** A number within a kernel. */
interface Term {
  readonly id: number;
  /** One per element, per row of the matrix, or one for all. */
  readonly extent: "full" | "column" | "scalar";
  /** The walk over a row in which it is known (full), or before which it is. */
  readonly phase: number;
  /** C that computes it from its operands' names. */
  readonly code: (...operands: string[]) => string;
  readonly operands: readonly Term[];
  /** An operand of the kernel that it is loaded from. */
  readonly load: number | null;
  /** For a column: what it is reduced from, and how. */
  readonly reduce: "sum" | "max" | null;
}

/** The terms of a region. Equal ones are one. */
class Terms {
  readonly all: Term[] = [];
  private readonly known = new Map<string, Term>();

  private add(key: string, term: Omit<Term, "id">): Term {
    const found = this.known.get(key);
    if (found) return found;
    const made = { id: this.all.length, ...term };
    this.all.push(made);
    this.known.set(key, made);
    return made;
  }

  constant(value: number): Term {
    const code = () => literal(value);
    const none = { operands: [], load: null, reduce: null };
    return this.add(`c${literal(value)}`, { extent: "scalar", phase: 0, code, ...none });
  }

  load(input: number, role: Role): Term {
    const extent = role === "row" ? "full" : role;
    const index = { full: "at", row: "c", column: "r", scalar: "0" }[role];
    const code = () => `in${input}[${index}]`;
    const none = { operands: [], reduce: null };
    return this.add(`l${input}${role}`, { extent, phase: 0, code, load: input, ...none });
  }

  compute(op: string, ...operands: Term[]): Term {
    const extents = operands.map((t) => t.extent);
    const extent = (["full", "column", "scalar"] as const).find((e) => extents.includes(e))!;
    const phase = Math.max(...operands.map((t) => t.phase));
    const code = OPERATORS[op] as Term["code"];
    const key = `${op}${operands.map((t) => t.id)}`;
    return this.add(key, { extent, phase, code, operands, load: null, reduce: null });
  }

  reduce(how: "sum" | "max", of: Term): Term {
    const code = (a: string) => a;
    const key = `${how}${of.id}`;
    const phase = of.phase + 1;
    return this.add(key, {
      extent: "column",
      phase,
      code,
      operands: [of],
      load: null,
      reduce: how,
    });
  }
}

type LayerNorm = Task & { readonly kind: "layerNorm" };

/** Writes a region in terms; returns one for each of its values. */
function termsOf(region: Region, terms: Terms, inputs: Value[]): Map<Value, Term> {
  const { space } = region;
  const of = new Map<Value, Term>();
  const read = (value: Value, role: Role | null = roleOf(value.shape, space)): Term => {
    const known = of.get(value);
    if (known) return known;
    const fill = uniformValue(value);
    if (fill !== null) return terms.constant(fill);
    if (!inputs.includes(value)) inputs.push(value);
    return terms.load(inputs.indexOf(value), role!);
  };
  const mean = (x: Term) =>
    terms.compute("Div", terms.reduce("sum", x), terms.constant(space.columns));
  const layerNorm = (x: Term, gain: Term, bias: Term, { epsilon }: LayerNorm): Term[] => {
    const average = mean(x);
    const centred = terms.compute("Sub", x, average);
    const variance = mean(terms.compute("Mul", centred, centred));
    const shifted = terms.compute("Add", variance, terms.constant(epsilon));
    const inverse = terms.compute("Reciprocal", terms.compute("Sqrt", shifted));
    const scaled = terms.compute("Mul", terms.compute("Mul", centred, inverse), gain);
    return [terms.compute("Add", scaled, bias), average, inverse];
  };
  for (const { node, task } of region.members) {
    const x = read(node.inputs[0]!);
    const results = (): Term[] => {
      switch (task.kind) {
        case "elementwise":
          return [terms.compute(node.op, ...node.inputs.map((v) => read(v!)))];
        case "reduceRows":
          if (task.how === "mean") return [mean(x)];
          return [terms.reduce(task.how, x)];
        case "dotRows": {
          const products = terms.compute("Mul", x, read(node.inputs[1]!, "row"));
          return [terms.compute("Mul", terms.reduce("sum", products), terms.constant(task.alpha))];
        }
        case "sumColumns":
          return [x];
        case "softmax": {
          const shifted = terms.compute("Sub", x, terms.reduce("max", x));
          const e = terms.compute("Exp", shifted);
          return [terms.compute("Div", e, terms.reduce("sum", e))];
        }
        case "layerNorm":
          return layerNorm(x, read(node.inputs[1]!, "row"), read(node.inputs[2]!, "row"), task);
      }
    };
    results().forEach((term, i) => {
      of.set(node.outputs[i]!, term);
    });
  }
  return of;
}

/** Where a term's value goes. */
interface Target {
  readonly term: Term;
  readonly output: number;
  readonly kind: "full" | "column" | "sum";
}

/** The C of a region whose `outputs` are read by the rest of the program; null where its rows take too much room. */
export function emitKernel(region: Region, isRead: (value: Value) => boolean): Kernel | null {
  const terms = new Terms();
  const inputs: Value[] = [];
  const of = termsOf(region, terms, inputs);
  const outputs: Value[] = [];
  const targets: Target[] = [];
  for (const { node, task } of region.members)
    for (const value of node.outputs) {
      const term = of.get(value);
      if (!term || !isRead(value)) continue;
      // By the shape: the term of a full matrix may be one number for each row, or for all.
      const isFull = sameShape(value.shape, region.space.shape);
      const kind = task.kind === "sumColumns" ? "sum" : isFull ? "full" : "column";
      targets.push({ term, output: outputs.length, kind });
      outputs.push(value);
    }
  const { space } = region;
  const walks = walksOf(terms.all, targets);
  const kept = keptTerms(terms.all, walks);
  if (kept.size * space.columns > MOST_KEPT) return null;
  const flat = isFlat(terms.all, targets, inputs, space);
  const sums = targets.filter(({ kind }) => kind === "sum");
  const { rows, columns } = flat ? { rows: sizeOf(space.shape), columns: 1 } : space;
  const most = sums.length > 0 ? MOST_PARTIAL : Number.POSITIVE_INFINITY;
  const parts = Math.max(1, Math.min(most, Math.floor((rows * columns) / PART), rows));
  const rowsPerPart = Math.max(1, Math.ceil(rows / parts));
  const used = Math.max(1, Math.ceil(rows / rowsPerPart));
  const overwrites = findOverwrites(terms.all, targets, walks, inputs, space);
  const body = [
    ...inputs.map((_, i) => `  const float *in${i} = call->in[${i}];`),
    ...targets
      .filter(({ kind }) => kind !== "sum")
      .map(({ output }) => `  float *out${output} = call->out[${output}];`),
    ...sums.map(
      ({ output }, i) =>
        `  float *sum${output} = call->partial + (part * ${sums.length} + ${i}) * ${columns};`,
    ),
    `  const size_t first = part * ${rowsPerPart};`,
    `  const size_t last = first + ${rowsPerPart} < ${rows} ? first + ${rowsPerPart} : ${rows};`,
    ...(flat ? flatBody(terms.all, targets) : rowBody(terms.all, targets, walks, kept, columns)),
  ];
  const finish =
    sums.length > 0
      ? { body: addUp(sums, used, columns), partial: sums.length * used * columns }
      : null;
  return makeKernel({
    label: "Fused",
    inputs,
    outputs,
    body,
    parts: used,
    overwrites,
    ...(finish ? { finish } : {}),
  });
}

/** The walks over a row in which the value of each term is read. */
type Walks = ReadonlyMap<Term, ReadonlySet<number>>;

function walksOf(terms: readonly Term[], targets: readonly Target[]): Walks {
  const walks = new Map(terms.map((term) => [term, new Set<number>()]));
  for (const reader of terms)
    for (const term of reader.operands)
      walks.get(term)!.add(reader.reduce ? reader.phase - 1 : reader.phase);
  for (const { term } of targets) walks.get(term)!.add(term.phase);
  return walks;
}

/** An output may lie where an input of the same form lies that no later walk reads. */
function findOverwrites(
  terms: readonly Term[],
  targets: readonly Target[],
  walks: Walks,
  inputs: readonly Value[],
  space: Space,
): [number, number][] {
  const whole = terms.filter(
    (t) => t.load !== null && roleOf(inputs[t.load]!.shape, space) === "full",
  );
  return targets
    .filter(({ kind }) => kind === "full")
    .flatMap(({ term, output }) =>
      whole
        .filter((t) => [...walks.get(t)!].every((walk) => walk <= term.phase))
        .map((t): [number, number] => [t.load!, output]),
    );
}

/** True where nothing depends on rows: the elements are then one long line. */
function isFlat(
  terms: readonly Term[],
  targets: readonly Target[],
  inputs: readonly Value[],
  space: Space,
): boolean {
  const plain = terms.every(
    (t) =>
      t.extent !== "column" &&
      (t.load === null || t.extent === "scalar" || roleOf(inputs[t.load]!.shape, space) === "full"),
  );
  return plain && targets.every(({ kind }) => kind === "full");
}

const name = (term: Term) => `v${term.id}`;
const assign = (term: Term) =>
  `const float ${name(term)} = ${term.code(...term.operands.map(name))};`;

function flatBody(terms: readonly Term[], targets: readonly Target[]): string[] {
  const scalars = terms.filter((t) => t.extent === "scalar");
  const full = terms.filter((t) => t.extent === "full");
  return [
    ...scalars.map((t) => `  ${assign(t)}`),
    "#pragma omp simd",
    "  for (size_t at = first; at < last; at++) {",
    ...full.map((t) => `    ${assign(t)}`),
    ...targets.map(({ term, output }) => `    out${output}[at] = ${name(term)};`),
    "  }",
  ];
}

/** Full terms that are computed in one walk over a row and read in a later one. */
function keptTerms(terms: readonly Term[], walks: Walks): Set<Term> {
  const isReadLater = (t: Term) => [...walks.get(t)!].some((walk) => walk > t.phase);
  return new Set(terms.filter((t) => t.extent === "full" && t.load === null && isReadLater(t)));
}

/** Walks over every row, once for each reduction that the next walk needs. */
function rowBody(
  terms: readonly Term[],
  targets: readonly Target[],
  walks: Walks,
  kept: ReadonlySet<Term>,
  columns: number,
): string[] {
  const full = terms.filter((t) => t.extent === "full");
  const column = terms.filter((t) => t.extent === "column");
  const reductions = column.filter((t) => t.reduce !== null);
  // A full term is needed in the walk of its own phase, and where a later one reads it.
  const readIn = (t: Term) => walks.get(t)!;
  const phases =
    1 +
    Math.max(
      0,
      ...terms.map((t) => (t.extent === "full" ? t.phase : 0)),
      ...reductions.map((t) => t.phase - 1),
      ...targets.map(({ term, kind }) => (kind === "column" ? 0 : term.phase)),
    );
  const lines: string[] = terms.filter((t) => t.extent === "scalar").map((t) => `  ${assign(t)}`);
  lines.push(...[...kept].map((t) => `  float kept${t.id}[${columns}];`));
  lines.push("  for (size_t r = first; r < last; r++) {", `    const size_t row = r * ${columns};`);
  for (let phase = 0; phase <= phases; phase++) {
    for (const t of column)
      if (t.phase === phase && t.reduce === null) lines.push(`    ${assign(t)}`);
    if (phase === phases) break;
    const leaving = reductions.filter((t) => t.phase === phase + 1);
    for (const t of leaving) {
      const start = t.reduce === "sum" ? "0.0f" : "-INFINITY";
      lines.push(`    float ${name(t)} = ${start};`);
    }
    const clause = (["sum", "max"] as const).flatMap((how) => {
      const names = leaving.filter((t) => t.reduce === how).map(name);
      return names.length > 0 ? [` reduction(${how === "sum" ? "+" : "max"} : ${names})`] : [];
    });
    lines.push(`#pragma omp simd${clause.join("")}`);
    lines.push(
      `    for (size_t c = 0; c < ${columns}; c++) {`,
      "      const size_t at = row + c;",
      "      (void)at;",
    );
    for (const t of full) {
      const isMade = t.load === null && t.phase === phase;
      if (!isMade && !readIn(t).has(phase)) continue;
      if (t.load !== null || t.phase === phase) lines.push(`      ${assign(t)}`);
      else lines.push(`      const float ${name(t)} = kept${t.id}[c];`);
      if (t.phase !== phase) continue;
      if (kept.has(t)) lines.push(`      kept${t.id}[c] = ${name(t)};`);
    }
    for (const { term, output, kind } of targets) {
      if (kind === "column" || term.phase !== phase) continue;
      const into = kind === "sum" ? `sum${output}[c] +=` : `out${output}[at] =`;
      lines.push(`      ${into} ${name(term)};`);
    }
    for (const t of leaving) {
      const of = name(t.operands[0]!);
      lines.push(
        t.reduce === "sum"
          ? `      ${name(t)} += ${of};`
          : `      ${name(t)} = ${name(t)} > ${of} ? ${name(t)} : ${of};`,
      );
    }
    lines.push("    }");
  }
  for (const { term, output, kind } of targets)
    if (kind === "column") lines.push(`    out${output}[r] = ${name(term)};`);
  lines.push("  }");
  return lines;
}

/** Adds up the partial sums of the parts, always in the same order. */
const addUp = (sums: readonly Target[], parts: number, columns: number): string[] =>
  sums.flatMap(({ output }, i) => [
    `  for (size_t c = 0; c < ${columns}; c++) call->out[${output}][c] = 0.0f;`,
    `  for (size_t part = 0; part < ${parts}; part++)`,
    `    for (size_t c = 0; c < ${columns}; c++)`,
    `      call->out[${output}][c] += call->partial[(part * ${sums.length} + ${i}) * ${columns} + c];`,
  ]);
