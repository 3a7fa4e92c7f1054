import { DmaeError } from "@dmae/core";
import { registerKernel, type TensorInfo } from "@tensorflow/tfjs-core";
import type { Graph, Value } from "../graph/graph.ts";
import { refuseShape, shown } from "../graph/refuse.ts";
import { requireAxes } from "../graph/shape-rules.ts";
import { TRACE_BACKEND, type TraceBackend } from "../tracing/trace-backend.ts";
import { userFrame } from "../tracing/user-frame.ts";

/** Inputs of a kernel by name; kernels of a list of tensors use the names 0, 1, 2, … */
export type Inputs = Record<string, Value>;

// biome-ignore lint/suspicious/noExplicitAny: each TensorFlow.js kernel has attributes of its own
export type KernelAttributes = Record<string, any>;

/** Translates one TensorFlow.js kernel into nodes. */
export type Translate = (
  g: Graph,
  inputs: Inputs,
  attributes: KernelAttributes,
) => Value | readonly Value[];

/** Kernels by name. */
export type Kernels = Readonly<Record<string, Translate>>;

/** Registers translations on the tracing backend. */
export function registerTranslations(kernels: Kernels): void {
  for (const [kernelName, translate] of Object.entries(kernels))
    registerKernel({
      kernelName,
      backendName: TRACE_BACKEND,
      kernelFunc: ({ inputs, attrs, backend }) => {
        const tracer = backend as TraceBackend;
        const values: Inputs = {};
        for (const [name, tensor] of Object.entries(inputs))
          if (tensor) values[name] = tracer.lookup(tensor as TensorInfo);
        const result = located(tracer.caller, kernelName, () =>
          checkedResult(translate(tracer.graph, values, (attrs ?? {}) as KernelAttributes)),
        );
        return Array.isArray(result)
          ? result.map((value) => tracer.tensorOf(value))
          : tracer.tensorOf(result as Value);
      },
    });
}

/** The results of a translation, if there are tensors of such shapes. */
function checkedResult(result: Value | readonly Value[]): Value | readonly Value[] {
  for (const { shape } of Array.isArray(result) ? result : [result])
    if (shape.some((d: number) => !Number.isInteger(d) || d < 0))
      refuseShape(`the result would have the shape ${shown(shape)}`);
  return result;
}

/** Runs a translation; what it refuses becomes an error that names the operation and the user's line. */
function located<T>(caller: string, kernel: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const ours = DmaeError.isInstance(error);
    if (!ours && !isAssertion(error)) throw error;
    const { operation, line } = userFrame(error.stack);
    const inGradient = /backpropagateGradients/.test(error.stack ?? "");
    const name = inGradient ? kernel : (operation ?? kernel);
    throw new DmaeError(
      ours ? error.code : "shape",
      `${caller}: ${name}: ${error.message}${line}`,
      { kernel, operation: name, line },
      { cause: error },
    );
  }
}

/** Assertions of TensorFlow.js's helpers are plain errors; type and range errors would be our bugs. */
const isAssertion = (error: unknown): error is Error =>
  error instanceof Error && error.name === "Error";

/** Axes as non-negative numbers. */
export const normalizeAxes = (axis: number | readonly number[], rank: number): number[] =>
  requireAxes(typeof axis === "number" ? [axis] : axis, rank);
