import { registerKernel, type TensorInfo } from "@tensorflow/tfjs-core";
import type { Graph, Value } from "../graph.ts";
import { TRACE_BACKEND, type TraceBackend } from "../trace-backend.ts";

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
        const result = translate(tracer.graph, values, (attrs ?? {}) as KernelAttributes);
        return Array.isArray(result)
          ? result.map((value) => tracer.tensorOf(value))
          : tracer.tensorOf(result as Value);
      },
    });
}

/** Axes as non-negative numbers. */
export function normalizeAxes(axis: number | readonly number[], rank: number): number[] {
  const axes = typeof axis === "number" ? [axis] : axis;
  return axes.map((a) => (a < 0 ? a + rank : a));
}
