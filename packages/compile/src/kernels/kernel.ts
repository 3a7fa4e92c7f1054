import type { Value } from "../graph/graph.ts";
import { onnxType } from "../graph/tensors.ts";

/** An operator as C or CUDA, and what it reads and writes. */
export interface Kernel {
  /** What its name begins with. */
  readonly label: "Fused" | "Product" | "Attention" | "Window";
  /** Definitions of C; `NAME` stands for the kernel's name. */
  readonly source: string;
  /** Its line in the table of operators, with `NAME` too. */
  readonly entry: string;
  /** What runs on a card, in CUDA, with `NAME` too. */
  readonly device?: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** The shape of one more output of float32 numbers, for sums that a card leaves to its second pass. */
  readonly scratch?: readonly number[] | undefined;
  /** Pairs of an input and an output that may share a buffer: an element is not read again after it was written. */
  readonly overwrites: readonly (readonly [input: number, output: number])[];
}

/** What {@link makeKernel} takes. */
export interface KernelParts extends Pick<Kernel, "label" | "inputs" | "outputs"> {
  /** Statements of C that work on piece `part` of the operands in `call`. */
  readonly body: readonly string[];
  /** How many pieces there are. */
  readonly parts: number;
  /** Statements that add up what the pieces leave in `call->partial`, which has room for so many floats. */
  readonly finish?: { readonly body: readonly string[]; readonly partial: number };
  readonly overwrites?: Kernel["overwrites"];
}

/** A kernel with its functions, and its entry in the table of operators (`Operator` of kernels.h). */
export function makeKernel(parts: KernelParts): Kernel {
  const { body, finish, ...operator } = parts;
  const functions = [
    "static void NAME(void *data, size_t part) {",
    "  const Call *call = data;",
    ...body,
    "}",
    ...(finish ? ["static void NAME_finish(const Call *call) {", ...finish.body, "}"] : []),
  ];
  const fields = {
    part: "NAME",
    finish: finish ? "NAME_finish" : "NULL",
    parts: parts.parts,
    partial: finish?.partial ?? 0,
  };
  return makeOperator({ overwrites: [], ...operator }, functions, fields);
}

/** An operator of these functions and `fields` of its entry, beside those that every operator has. */
export function makeOperator(
  operator: Omit<Kernel, "source" | "entry">,
  functions: readonly string[],
  fields: Readonly<Record<string, string | number>>,
): Kernel {
  const { inputs, outputs, overwrites, scratch } = operator;
  const written = [...outputs, ...(scratch ? [{ shape: scratch, dtype: "float32" as const }] : [])];
  const shapes = written.map(({ shape }) => `{${[shape.length, ...shape].join()}}`);
  const types = [...inputs, ...written].map(({ dtype }) => onnxType(dtype));
  const pair = (i: 0 | 1) => overwrites.map((both) => both[i]).join();
  const source = [
    ...functions,
    `static const int64_t NAME_shapes[][MAX_RANK + 1] = {${shapes.join(", ")}};`,
    `static const int NAME_types[] = {${types}};`,
    ...(overwrites.length > 0
      ? [
          "static size_t NAME_overwrites(int **inputs, int **outputs) {",
          `  static int in[] = {${pair(0)}}, out[] = {${pair(1)}};`,
          "  *inputs = in;",
          "  *outputs = out;",
          `  return ${overwrites.length};`,
          "}",
        ]
      : []),
  ].join("\n");
  const all = {
    name: '"NAME"',
    inputs: inputs.length,
    outputs: written.length,
    shapes: "NAME_shapes",
    types: "NAME_types",
    overwrites: overwrites.length > 0 ? "NAME_overwrites" : "NULL",
    ...fields,
  };
  const entry = Object.entries(all).map(([field, value]) => `.${field} = ${value}`);
  return { ...operator, source, entry: `{${entry.join(", ")}}` };
}

/** A number as a float32 literal of C. */
export function literal(value: number): string {
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded)) return "NAN";
  if (!Number.isFinite(rounded)) return rounded > 0 ? "INFINITY" : "-INFINITY";
  const text = Object.is(rounded, -0) ? "-0" : rounded.toString();
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}
