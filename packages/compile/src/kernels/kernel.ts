import type { Value } from "../graph/graph.ts";

/** An operator as C, and what it reads and writes. */
export interface Kernel {
  /** What its name begins with. */
  readonly label: "Fused" | "Product" | "Attention" | "Window";
  /** Definitions; `NAME` stands for the kernel's name. */
  readonly source: string;
  /** Its line in the table of operators, with `NAME` too. */
  readonly entry: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
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
  const { label, inputs, outputs, body, finish, overwrites = [] } = parts;
  const shapes = outputs.map(({ shape }) => `{${[shape.length, ...shape].join()}}`);
  const pair = (i: 0 | 1) => overwrites.map((both) => both[i]).join();
  const source = [
    "static void NAME(void *data, size_t part) {",
    "  const Call *call = data;",
    ...body,
    "}",
    ...(finish ? ["static void NAME_finish(const Call *call) {", ...finish.body, "}"] : []),
    `static const int64_t NAME_shapes[][MAX_RANK + 1] = {${shapes.join(", ")}};`,
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
  const entry = `{${[
    '.name = "NAME"',
    `.inputs = ${inputs.length}`,
    `.outputs = ${outputs.length}`,
    ".shapes = NAME_shapes",
    ".part = NAME",
    `.finish = ${finish ? "NAME_finish" : "NULL"}`,
    `.overwrites = ${overwrites.length > 0 ? "NAME_overwrites" : "NULL"}`,
    `.parts = ${parts.parts}`,
    `.partial = ${finish?.partial ?? 0}`,
  ].join(", ")}}`;
  return { label, source, entry, inputs, outputs, overwrites };
}

/** A number as a float32 literal of C. */
export function literal(value: number): string {
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded)) return "NAN";
  if (!Number.isFinite(rounded)) return rounded > 0 ? "INFINITY" : "-INFINITY";
  const text = Object.is(rounded, -0) ? "-0" : rounded.toString();
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}
