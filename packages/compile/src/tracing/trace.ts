import { DmaeError, type HostTensors } from "@dmae/core";
import type { TensorSpecs, Tensors } from "@dmae/nn";
import { ignoreRejection, refusePromise } from "@dmae/nn/executors";
import * as tf from "@tensorflow/tfjs-core";
import { Graph, type Value } from "../graph/graph.ts";
import type { Program } from "../graph/optimize.ts";
import { composite } from "../ops/composite.ts";
import { contraction } from "../ops/contraction.ts";
import { convolution } from "../ops/convolution.ts";
import { elementwise } from "../ops/elementwise.ts";
import { movement } from "../ops/movement.ts";
import { registerTranslations } from "../ops/register.ts";
import { resize } from "../ops/resize.ts";
import { elementType, TRACE_BACKEND, TraceBackend } from "./trace-backend.ts";
import { userFrame } from "./user-frame.ts";

/** A traced function: its graph and the names of its outputs, in the order of `outputs`. */
export interface Trace extends Program {
  readonly outputNames: readonly string[];
}

let registered = false;

function registerOnce(): void {
  if (registered) return;
  registered = true;
  for (const kernels of [elementwise, movement, contraction, convolution, resize, composite])
    registerTranslations(kernels);
}

/**
 * Runs `fn` once on the tracing backend. The previous backend is restored whatever happens, and
 * tensors of it that `fn` used (they became constants) are handed back.
 */
export function trace(
  caller: string,
  fn: (inputs: Tensors) => Tensors,
  inputs: TensorSpecs,
  constants: HostTensors = {},
): Trace {
  registerOnce();
  const engine = tf.engine();
  if (engine.backendName === TRACE_BACKEND)
    throw new DmaeError("argument", `${caller}: cannot compile inside a function that is compiled`);
  const graph = new Graph();
  const backend = new TraceBackend(graph, caller, engine);
  let traced: Trace | undefined;
  withTracer(caller, backend, () => {
    tf.tidy(() => {
      const fixed = constantTensors(backend, constants);
      const result = fn({ ...fixed, ...inputTensors(backend, inputs, caller) });
      if (backend.awaited) {
        ignoreRejection(result);
        throw backend.awaited;
      }
      const outputNames = checkedNames(result, caller);
      const outputs = outputNames.map((name) => backend.lookup(result[name]!));
      traced = { graph, outputs, outputNames };
    });
  });
  return traced!;
}

function withTracer(caller: string, backend: TraceBackend, run: () => void): void {
  const engine = tf.engine();
  const previous = engine.backendName;
  const { random } = Math;
  const { assign } = tf.Variable.prototype;
  const { stackTraceLimit } = Error;
  tf.registerBackend(TRACE_BACKEND, () => backend, -1);
  void tf.setBackend(TRACE_BACKEND); // synchronous for a backend that is made synchronously
  Math.random = () => {
    throw unseeded(caller);
  };
  tf.Variable.prototype.assign = () => {
    throw assigned(caller);
  };
  Error.stackTraceLimit = 60;
  try {
    run();
  } catch (error) {
    throw translated(caller, error);
  } finally {
    Math.random = random;
    tf.Variable.prototype.assign = assign;
    Error.stackTraceLimit = stackTraceLimit;
    tf.removeBackend(TRACE_BACKEND);
    if (previous) restore(previous, backend);
  }
}

function restore(previous: string, backend: TraceBackend): void {
  void tf.setBackend(previous);
  const engine = tf.engine();
  const home = engine.findBackend(previous);
  for (const dataId of backend.captured)
    if (home && backend.refCount(dataId) > 0) engine.moveData(home, dataId);
}

function unseeded(caller: string): DmaeError {
  const { operation, line } = userFrame();
  const what = operation ?? "Math.random";
  return new DmaeError(
    "unsupported",
    `${caller}: ${what} draws unseeded random numbers while the function is traced${line}; ` +
      "they would be the same in every run: draw outside and pass them in as an input",
    { operation: what, line },
  );
}

function assigned(caller: string): DmaeError {
  const { line } = userFrame();
  return new DmaeError(
    "unsupported",
    `${caller}: assign changes a variable while the function is traced${line}, when it has no value yet; ` +
      "return the new value, as compileStep does with its state",
    { operation: "assign", line },
  );
}

/** True for what TensorFlow.js itself throws: wrong arguments, mostly shapes. */
const isRefusal = ({ name, stack = "" }: Error): boolean =>
  name === "Error" && /tfjs-core|tf-core/.test(/^\s*at .*$/m.exec(stack)?.[0] ?? "");

/** TensorFlow.js's complaint about a kernel that the tracing backend lacks, or about arguments, in our words. */
function translated(caller: string, error: unknown): unknown {
  if (!(error instanceof Error) || DmaeError.isInstance(error)) return error;
  const kernel = /Kernel '(\w+)' not registered for backend/.exec(error.message)?.[1];
  const { operation, line } = userFrame(error.stack);
  if (!kernel) {
    const message = `${caller}: ${operation ? `${operation}: ` : ""}${error.message}${line}`;
    return isRefusal(error)
      ? new DmaeError("argument", message, { operation, line }, { cause: error })
      : error;
  }
  const name = operation && operation !== kernel ? `${operation} (kernel ${kernel})` : kernel;
  return new DmaeError(
    "unsupported",
    `${caller}: ${name} has no ONNX translation${line}; use other operations, or run the function eagerly`,
    { kernel, operation, line },
    { cause: error },
  );
}

function asTensor(backend: TraceBackend, value: Value): tf.Tensor {
  const { dataId, shape, dtype } = backend.tensorOf(value);
  return tf.engine().makeTensorFromDataId(dataId, shape, dtype, backend);
}

function inputTensors(backend: TraceBackend, specs: TensorSpecs, caller: string): Tensors {
  const tensors: Tensors = {};
  for (const [name, { shape, dtype = "float32" }] of Object.entries(specs)) {
    if (!shape.every((d) => Number.isInteger(d) && d >= 0))
      throw new DmaeError(
        "shape",
        `${caller}: every dimension of ${name} must be a whole number, got [${shape}]`,
      );
    const value = backend.graph.input(name, elementType(dtype, caller), shape);
    tensors[name] = asTensor(backend, value);
  }
  return tensors;
}

function constantTensors(backend: TraceBackend, constants: HostTensors): Tensors {
  const tensors: Tensors = {};
  for (const [name, { shape, dtype, data }] of Object.entries(constants))
    tensors[name] = asTensor(backend, backend.graph.constant(dtype, shape, data, name));
  return tensors;
}

function checkedNames(result: Tensors, caller: string): string[] {
  refusePromise(caller, result);
  const names = Object.keys(result ?? {});
  const wrong = names.filter((name) => !(result[name] instanceof tf.Tensor));
  if (names.length === 0 || wrong.length > 0)
    throw new DmaeError(
      "argument",
      `${caller}: the function must return a record of tensors, ${wrong.length > 0 ? `but ${wrong.join(", ")} is none` : "got none"}`,
    );
  return names;
}
