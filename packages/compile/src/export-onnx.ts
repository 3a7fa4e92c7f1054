import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { InputSpecs, Program, ResultForm, TensorSpecs } from "@dmae/nn";
import { flatProgram, isSpec, specOf } from "@dmae/nn/executors";
import { checkDifferent, checkNames } from "./export-names.ts";
import { unifyBatch } from "./graph/dynamic-batch.ts";
import { encodeModel } from "./onnx/onnx-model.ts";
import {
  checkPrecision,
  finish,
  type PrecisionOptions,
  precisionNames,
} from "./runtime/program.ts";
import { type Trace, trace } from "./tracing/trace.ts";

/** Options of {@link exportOnnx}. */
export interface ExportOptions extends PrecisionOptions {
  /**
   * Leaves the first dimension of every input open; the specs' first dimension is then any number. The file calls it
   * `batch`, and what depends on it `2*batch`, `batch + 1`. Default false.
   */
  readonly dynamicBatch?: boolean | undefined;
  /** The name of the graph, which viewers show. Default `function`. */
  readonly graphName?: string | undefined;
  /** New names of inputs and outputs by the old ones (nested names are joined with `/`). */
  readonly names?: Readonly<Record<string, string>> | undefined;
}

/**
 * Writes a program as an `.onnx` file (opset 20) that ONNX Runtime runs in any language: attention uses
 * its `com.microsoft` operators. With `precision: "bfloat16"` the file is for execution providers that have this type, such as
 * CUDA; that of the CPU cannot load it. `"float16"` and `"int8"` run everywhere.
 *
 * @param program as for `compile`; its constants are stored in the file under their names
 * @returns the bytes of the file
 * @throws DmaeError as `compile` does; "argument" for names that are not different; "shape" if `dynamicBatch` is asked for and the function's numbers
 * depend on the batch size
 * @example
 * ```ts
 * const fn = ({ image, ...params }) => ({ logits: vit.logits(params, image) });
 * const bytes = exportOnnx({ fn, specs: { image: [1, 28, 28, 1] }, constants: params }, { dynamicBatch: true });
 * await writeFile("classifier.onnx", bytes);
 * ```
 */
export function exportOnnx<Specs extends InputSpecs, Result extends ResultForm<Result>>(
  program: Program<Specs, Result>,
  options: ExportOptions = {},
): Uint8Array {
  checkOptions("exportOnnx", options, {
    ...precisionNames,
    dynamicBatch: true,
    graphName: true,
    names: true,
  });
  checkPrecision("exportOnnx", options, "cpu");
  const { dynamicBatch = false } = options;
  const { specs: flat, constants } = flatProgram("exportOnnx", program);
  const traceAt = (batch: number | null): Trace => {
    const specs = batch === null ? program.specs : withBatch(program.specs, batch);
    const sized = flatProgram("exportOnnx", { ...program, specs });
    const traced = trace("exportOnnx", sized.fn, sized.specs, constants);
    return { ...traced, ...finish("exportOnnx", traced, options, { transposeAll: true }) };
  };
  const [first, second] = SIZES;
  if (dynamicBatch) checkBatchAxes(flat);
  const traced = dynamicBatch
    ? unifyBatch("exportOnnx", traceOpen(traceAt, first), traceOpen(traceAt, second), ...SIZES)
    : traceAt(null);
  checkSize(constants);
  return encodeModel(renamed(traced, options)).bytes;
}

/** Two batch sizes that no other dimension is likely to have. */
const SIZES = [97, 101] as const;

/** A trace at a batch size of ours; where only that is what the function cannot take, the error says so. */
function traceOpen(traceAt: (batch: number | null) => Trace, batch: number): Trace {
  try {
    return traceAt(batch);
  } catch (error) {
    traceAt(null); // throws where the function fails anyway
    const reason = error instanceof Error ? error.message : String(error);
    throw new DmaeError(
      "shape",
      `exportOnnx: with dynamicBatch the function must run at every batch size, but at ${batch} it fails ` +
        `(${reason.replace("exportOnnx: ", "")}); keep the batch axis apart from the others, or export it for one batch size`,
      { batch },
      { cause: error },
    );
  }
}

function checkBatchAxes(specs: TensorSpecs): void {
  const scalar = Object.keys(specs).find((name) => specs[name]!.shape.length === 0);
  if (scalar !== undefined)
    throw new DmaeError(
      "shape",
      `exportOnnx: with dynamicBatch every input needs a batch axis, ${scalar} is a scalar`,
    );
}

function withBatch<Specs extends InputSpecs>(specs: Specs, batch: number): Specs {
  const resize = (record: InputSpecs): InputSpecs =>
    Object.fromEntries(
      Object.entries(record).map(([name, value]) => {
        if (!isSpec(value)) return [name, resize(value)];
        const spec = specOf(value);
        return [name, { ...spec, shape: [batch, ...spec.shape.slice(1)] }];
      }),
    );
  return resize(specs) as Specs;
}

function renamed(
  traced: ReturnType<typeof unifyBatch> | Trace,
  { names = {}, graphName }: ExportOptions,
) {
  const inputNames = traced.graph.inputs.map((input) => input.name!);
  const rename = (name: string) => (Object.hasOwn(names, name) ? names[name]! : name);
  checkNames(inputNames, traced.outputNames, names);
  checkDifferent([...inputNames, ...traced.outputNames].map(rename));
  for (const input of traced.graph.inputs) input.name = rename(input.name!);
  return {
    ...traced,
    outputNames: traced.outputNames.map(rename),
    ...(graphName ? { name: graphName } : {}),
  };
}

function checkSize(constants: HostTensors): void {
  const bytes = Object.values(constants).reduce(
    (n, { data }: HostTensor) => n + data.byteLength,
    0,
  );
  if (bytes > 2_000_000_000)
    throw new DmaeError(
      "unsupported",
      `exportOnnx: an .onnx file holds at most 2 GB, the constants take ${bytes} bytes`,
      { bytes },
    );
}
