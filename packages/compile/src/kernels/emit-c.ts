import { sizeOf, type Value } from "../graph/graph.ts";
import { type Kernel, makeKernel } from "./kernel.ts";
import { assign, nameOf, type Plan, planRegion, type Target } from "./plan.ts";
import type { Region } from "./regions.ts";
import type { Term } from "./terms.ts";

/** Elements that one part of a kernel works on: enough to be worth a thread, few enough to share the work evenly. */
const PART = 1 << 14;

/** Numbers that a kernel keeps on its stack from one walk over a row to the next (256 KiB). */
const MOST_KEPT = 1 << 16;

/** Parts of a kernel that sums columns: each leaves a row of partial sums. */
const MOST_PARTIAL = 16;

/** Rows that such a part adds up at most: of more, a sum of like numbers would lose digits. */
const MOST_ADDED = 2048;

/** The C of a region whose `outputs` are read by the rest of the program; null where its rows take too much room. */
export function emitKernel(region: Region, isRead: (value: Value) => boolean): Kernel | null {
  const plan = planRegion(region, isRead);
  const { space, inputs, outputs, targets, overwrites } = plan;
  if (plan.kept.size * space.columns > MOST_KEPT) return null;
  const sums = targets.filter(({ kind }) => kind === "sum");
  const { rows, columns } = plan.isFlat ? { rows: sizeOf(space.shape), columns: 1 } : space;
  const [least, most] =
    sums.length > 0 ? [Math.ceil(rows / MOST_ADDED), MOST_PARTIAL] : [1, Number.POSITIVE_INFINITY];
  const parts = Math.max(least, Math.min(most, Math.floor((rows * columns) / PART), rows));
  const rowsPerPart = Math.max(1, Math.ceil(rows / parts));
  const used = Math.max(1, Math.ceil(rows / rowsPerPart));
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
    ...plan.terms.filter((t) => t.extent === "scalar").map((t) => `  ${make(t)}`),
    ...(plan.isFlat ? flatBody(plan) : rowBody(plan)),
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

const PLACES = { full: "at", row: "c", column: "r", scalar: "0" };

const make = (term: Term) =>
  term.load ? assign(term, `in${term.load.input}[${PLACES[term.load.role]}]`) : assign(term);

function flatBody({ terms, targets }: Plan): string[] {
  const full = terms.filter((t) => t.extent === "full");
  return [
    "#pragma omp simd",
    "  for (size_t at = first; at < last; at++) {",
    ...full.map((t) => `    ${make(t)}`),
    ...targets.map(({ term, output }) => `    out${output}[at] = ${nameOf(term)};`),
    "  }",
  ];
}

/** Walks over every row, once for each reduction that the next walk needs. */
function rowBody(plan: Plan): string[] {
  const { columns } = plan.space;
  const lines = [
    ...[...plan.kept].map((t) => `  float kept${t.id}[${columns}];`),
    "  for (size_t r = first; r < last; r++) {",
    `    const size_t row = r * ${columns};`,
  ];
  for (let walk = 0; walk <= plan.walks; walk++) {
    for (const t of plan.columnsBefore(walk)) lines.push(`    ${make(t)}`);
    if (walk < plan.walks) lines.push(...walkOnce(plan, walk));
  }
  for (const { term, output, kind } of plan.targets)
    if (kind === "column") lines.push(`    out${output}[r] = ${nameOf(term)};`);
  return [...lines, "  }"];
}

function walkOnce({ space, targets, kept, ...plan }: Plan, walk: number): string[] {
  const reduced = plan.reducedIn(walk);
  const clause = (["sum", "max"] as const).flatMap((how) => {
    const names = reduced.filter((t) => t.reduce === how).map(nameOf);
    return names.length > 0 ? [` reduction(${how === "sum" ? "+" : "max"} : ${names})`] : [];
  });
  const lines = [
    ...reduced.map((t) => `    float ${nameOf(t)} = ${t.reduce === "sum" ? "0.0f" : "-INFINITY"};`),
    `#pragma omp simd${clause.join("")}`,
    `    for (size_t c = 0; c < ${space.columns}; c++) {`,
    "      const size_t at = row + c;",
    "      (void)at;",
  ];
  for (const { term, from } of plan.seenIn(walk)) {
    lines.push(`      ${from === "keep" ? assign(term, `kept${term.id}[c]`) : make(term)}`);
    if (from === "compute" && kept.has(term))
      lines.push(`      kept${term.id}[c] = ${nameOf(term)};`);
  }
  for (const { term, output, kind } of targets) {
    if (kind === "column" || term.phase !== walk) continue;
    const into = kind === "sum" ? `sum${output}[c] +=` : `out${output}[at] =`;
    lines.push(`      ${into} ${nameOf(term)};`);
  }
  for (const t of reduced) {
    const [name, of] = [nameOf(t), nameOf(t.operands[0]!)];
    const next = t.reduce === "sum" ? `${name} + ${of}` : `${name} > ${of} ? ${name} : ${of}`;
    lines.push(`      ${name} = ${next};`);
  }
  return [...lines, "    }"];
}

/** Adds up the partial sums of the parts, always in the same order. */
const addUp = (sums: readonly Target[], parts: number, columns: number): string[] =>
  sums.flatMap(({ output }, i) => [
    `  for (size_t c = 0; c < ${columns}; c++) call->out[${output}][c] = 0.0f;`,
    `  for (size_t part = 0; part < ${parts}; part++)`,
    `    for (size_t c = 0; c < ${columns}; c++)`,
    `      call->out[${output}][c] += call->partial[(part * ${sums.length} + ${i}) * ${columns} + c];`,
  ]);
