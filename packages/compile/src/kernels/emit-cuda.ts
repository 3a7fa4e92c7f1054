import { sizeOf, type Value } from "../graph/graph.ts";
import { type Kernel, makeOperator } from "./kernel.ts";
import { assign, nameOf, type Plan, planRegion, type Target } from "./plan.ts";
import type { Region } from "./regions.ts";
import type { Term } from "./terms.ts";

/** Threads of a block, where rows do not ask for another number. */
const BLOCK = 128;

/** Blocks that share elements that do not depend on rows: enough for any card. */
const MOST_BLOCKS = 4096;

/** Elements of a row for one thread of a warp, and for one of a block. */
const [MOST_OF_WARP, MOST_OF_BLOCK] = [16, 8];

/** Rows of partial sums at most, and rows of the matrix that make one at least. */
const [MOST_PARTIAL, LEAST_ROWS] = [2048, 16];

/** From this size on, 32 bits do not number the elements. */
const LARGE = 2 ** 31;

/** How a kernel's threads lie over its matrix. */
interface Layout {
  /** Neighbours that a thread moves in one access. */
  readonly lanes: number;
  /** Such vectors in a row. */
  readonly vectors: number;
  /** Threads that share a row, and how many vectors each of them has. */
  readonly width: number;
  readonly items: number;
  /** Threads of a block. */
  readonly block: number;
}

/**
 * The CUDA of a region whose `outputs` are read by the rest of the program. Where rows are reduced, a row belongs to a part of a
 * warp, a warp or a block; else elements are shared by all threads. Sums of columns take two passes: rows of
 * partial sums, which a second kernel adds up. Null for a matrix without rows.
 */
export function emitCuda(
  region: Region,
  isRead: (value: Value) => boolean,
  again: ReadonlySet<Value>,
): Kernel | null {
  if (region.space.rows === 0) return null;
  const plan = planRegion(region, isRead, again);
  const byRows = plan.terms.some((t) => t.reduce) || sumsOf(plan).length > 0;
  return byRows ? rowKernel(plan) : flatKernel(plan);
}

const sumsOf = ({ targets }: Plan): Target[] => targets.filter(({ kind }) => kind === "sum");

function flatKernel(plan: Plan): Kernel {
  const { space, isFlat } = plan;
  const size = sizeOf(space.shape);
  const lanes = (isFlat ? size : space.columns) % 4 === 0 ? 4 : 1;
  const layout = { lanes, vectors: space.columns / lanes, width: 1, items: 1, block: BLOCK };
  const blocks = Math.ceil(size / lanes / BLOCK);
  const rows = isFlat
    ? []
    : [
        `    const Index r = i / ${layout.vectors}, cv = i % ${layout.vectors};`,
        ...plan.columnsBefore(0).map((t) => `    ${make(t)}`),
      ];
  const columns = plan.targets.filter(({ kind }) => kind === "column");
  const body = [
    ...scalars(plan),
    "  const Index step = (Index)gridDim.x * blockDim.x;",
    `  for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < ${size / lanes}; i += step) {`,
    ...rows,
    ...walkOnce(plan, 0, layout, "").map((line) => `  ${line}`),
    ...columns.map((target) => `    if (cv == 0) ${writeColumn(target)}`),
    "  }",
  ];
  return kernel(plan, layout, { body, blocks: Math.min(MOST_BLOCKS, blocks) });
}

/** Threads for a row: few where it is short, so that several rows share a warp; a block of their own where it is long. */
function layoutOfRows(columns: number): Layout {
  const lanes = columns % 4 === 0 ? 4 : 1;
  const vectors = columns / lanes;
  const isLong = columns > 32 * MOST_OF_WARP;
  const width = isLong
    ? 32 * Math.ceil(vectors / (MOST_OF_BLOCK / lanes) / 32)
    : Math.min(32, 2 ** Math.ceil(Math.log2(vectors)));
  const items = Math.ceil(vectors / width);
  return { lanes, vectors, width, items, block: isLong ? width : BLOCK };
}

function rowKernel(plan: Plan): Kernel {
  const { rows, columns } = plan.space;
  const layout = layoutOfRows(columns);
  const { width, block } = layout;
  const sums = sumsOf(plan);
  const groups = block / width;
  const rowsOfPart = sums.length > 0 ? Math.max(LEAST_ROWS, Math.ceil(rows / MOST_PARTIAL)) : 1;
  const blocks = Math.ceil(rows / (rowsOfPart * groups));
  const parts = blocks * groups;
  const elements = layout.items * layout.lanes;
  const columnTargets = plan.targets.filter(({ kind }) => kind === "column");
  const body = [
    ...scalars(plan),
    `  const int lane = threadIdx.x % ${width};`,
    `  const Index part = (Index)blockIdx.x * ${groups} + threadIdx.x / ${width};`,
    ...sums.map(({ output }) => `  float sum${output}[${elements}] = {};`),
    `  for (Index row = part * ${rowsOfPart}; row < (part + 1) * ${rowsOfPart}; row++) {`,
    // Threads without a row go along: all of a warp take part in a shuffle.
    `    const bool is_row = row < ${rows};`,
    `    const Index r = is_row ? row : ${rows - 1};`,
    ...[...plan.kept].map((t) => `    float kept${t.id}[${elements}];`),
    ...walksOf(plan, layout),
    ...columnTargets.map((target) => `    if (is_row && lane == 0) ${writeColumn(target)}`),
    "  }",
    ...sums.flatMap(({ output }, i) => [
      ...eachVector(layout),
      `    for (int j = 0; j < ${layout.lanes}; j++)`,
      `      partial[(${i * parts} + part) * ${columns} + cv * ${layout.lanes} + j] = sum${output}[k * ${layout.lanes} + j];`,
      "  }",
    ]),
  ];
  return kernel(plan, layout, { body, blocks, parts });
}

function walksOf(plan: Plan, layout: Layout): string[] {
  const lines: string[] = [];
  for (let walk = 0; walk <= plan.walks; walk++) {
    for (const t of plan.columnsBefore(walk)) lines.push(`    ${make(t)}`);
    if (walk === plan.walks) break;
    const reduced = plan.reducedIn(walk);
    for (const t of reduced)
      lines.push(`    float ${nameOf(t)} = ${t.reduce === "sum" ? "0.0f" : "-INFINITY"};`);
    lines.push(
      ...eachVector(layout).map((line) => `  ${line}`),
      `      const Index i = r * ${layout.vectors} + cv;`,
      ...walkOnce(plan, walk, layout, "if (is_row) ").map((line) => `    ${line}`),
      "    }",
    );
    for (const t of reduced)
      lines.push(`    ${nameOf(t)} = join<${how(t)}, ${layout.width}>(${nameOf(t)});`);
  }
  return lines;
}

/** The head of a loop over the vectors `cv` of a row that belong to a thread. */
const eachVector = ({ vectors, width, items }: Layout): string[] => [
  "#pragma unroll",
  `  for (int k = 0; k < ${items}; k++) {`,
  `    const Index cv = lane + k * ${width};`,
  ...(vectors < items * width ? [`    if (cv >= ${vectors}) break;`] : []),
];

/** What a walk does at vector `i` of the matrix, which is vector `cv` of its row; a result is stored where `guard` allows it. */
function walkOnce(
  { outputs, targets, kept, ...plan }: Plan,
  walk: number,
  { lanes }: Layout,
  guard: string,
): string[] {
  const seen = plan.seenIn(walk);
  const written = targets.filter(({ term, kind }) => kind !== "column" && term.phase === walk);
  const whole = written.filter(({ kind }) => kind === "full");
  const place = `k * ${lanes} + j`;
  const lines = seen.flatMap(({ term: { id, load } }) => {
    if (!load) return [];
    const index = load.role === "row" ? "cv" : "i";
    return [`  const auto l${id} = load<${lanes}>(in${load.input}, ${index});`];
  });
  for (const { output } of whole)
    lines.push(`  Vector<${typeOf(outputs[output]!)}, ${lanes}> o${output};`);
  lines.push("#pragma unroll", `  for (int j = 0; j < ${lanes}; j++) {`);
  for (const { term, from } of seen) {
    const code = from === "load" ? `number(l${term.id}.at[j])` : `kept${term.id}[${place}]`;
    lines.push(`    ${from === "compute" ? assign(term) : assign(term, code)}`);
    if (from === "compute" && kept.has(term))
      lines.push(`    kept${term.id}[${place}] = ${nameOf(term)};`);
  }
  for (const { term, output, kind } of written)
    lines.push(
      kind === "sum"
        ? `    sum${output}[${place}] += is_row ? ${nameOf(term)} : 0.0f;`
        : `    narrow(${nameOf(term)}, o${output}.at[j]);`,
    );
  for (const t of plan.reducedIn(walk))
    lines.push(`    ${nameOf(t)} = ${how(t)}::of(${nameOf(t)}, ${nameOf(t.operands[0]!)});`);
  const stores = whole.map(({ output }) => `  ${guard}store(out${output}, i, o${output});`);
  return [...lines, "  }", ...stores];
}

const how = (term: Term) => (term.reduce === "sum" ? "Sum" : "Max");

const typeOf = ({ dtype }: Value) => (dtype === "float32" ? "float" : dtype);

/** A term that is one number for a row, or for all. */
const make = (term: Term) =>
  term.load
    ? assign(term, `number(in${term.load.input}[${term.load.role === "column" ? "r" : 0}])`)
    : assign(term);

const scalars = ({ terms }: Plan) =>
  terms.filter((t) => t.extent === "scalar").map((t) => `  ${make(t)}`);

const writeColumn = ({ term, output }: Target) => `narrow(${nameOf(term)}, out${output}[r]);`;

interface Launch {
  readonly body: readonly string[];
  readonly blocks: number;
  /** Rows of partial sums that the body leaves for each sum of columns. */
  readonly parts?: number;
}

function kernel(plan: Plan, { block }: Layout, { body, blocks, parts = 0 }: Launch): Kernel {
  const { space, inputs, outputs, overwrites } = plan;
  const sums = sumsOf(plan);
  const place = (output: number) => `call.at[${inputs.length + output}]`;
  const index = sizeOf(space.shape) < LARGE ? "unsigned" : "unsigned long long";
  const partial = `(float *)${place(outputs.length)}`;
  const device = [
    `extern "C" __global__ void __launch_bounds__(${block}) NAME(const Call call) {`,
    `  using Index = ${index};`,
    ...inputs.map((v, i) => `  const ${typeOf(v)} *in${i} = (const ${typeOf(v)} *)call.at[${i}];`),
    ...outputs.map((v, i) => `  ${typeOf(v)} *out${i} = (${typeOf(v)} *)${place(i)};`),
    ...(sums.length > 0 ? [`  float *partial = ${partial};`] : []),
    ...body,
    "}",
  ];
  if (sums.length > 0)
    device.push(
      'extern "C" __global__ void NAME_finish(const Call call) {',
      `  float *const sums[] = {${sums.map(({ output }) => `(float *)${place(output)}`)}};`,
      `  const float *partial = ${partial} + (size_t)blockIdx.y * ${parts * space.columns};`,
      `  add_up(partial, ${parts}, ${space.columns}, sums[blockIdx.y]);`,
      "}",
    );
  const operator = {
    label: "Fused" as const,
    device: device.join("\n"),
    inputs,
    outputs,
    overwrites,
  };
  const scratch = sums.length > 0 ? [sums.length * parts, space.columns] : undefined;
  return makeOperator({ ...operator, scratch }, [], {
    ...{ blocks, threads: block },
    ...{ sums: sums.length, sum_blocks: Math.ceil(space.columns / 32) },
  });
}
