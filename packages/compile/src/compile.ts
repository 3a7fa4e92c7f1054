import type { HostTensor, HostTensors } from "@dmae/core";
import type { TensorSpecs } from "@dmae/nn";
import { Tensor } from "@tensorflow/tfjs-core";
import { runFunction } from "./compiled-executor.ts";
import { LoadedProgram, type PrecisionOptions, type ProgramStatistics } from "./runtime/program.ts";
import { checkRuntimeOptions, type RuntimeOptions } from "./runtime/runtime.ts";
import { checkTensors } from "./specs/check-values.ts";
import { flatFunction, OUTPUT } from "./specs/flat-function.ts";
import {
  type InFormOf,
  isSpec,
  isTensor,
  type NestedSpecs,
  type NestedTensors,
  type ResultForm,
  unflatten,
} from "./specs/nested.ts";
import { flatInputs, flatSpecs, namesOf } from "./specs/specs.ts";
import { trace } from "./tracing/trace.ts";

/** The form of a function's result with a {@link HostTensor} in place of every tensor. */
export type HostResult<Result> = Result extends Tensor
  ? HostTensor
  : { [Name in keyof Result]: HostResult<Result[Name]> };

/** Options of {@link compile}. */
export interface CompileOptions extends RuntimeOptions, PrecisionOptions {
  /** Parameters, given to `fn` among its inputs and stored in the graph. */
  readonly constants?: HostTensors;
}

/** A function that ONNX Runtime executes as one graph. */
export interface CompiledFunction<Specs, Result> {
  /**
   * Runs it on values in host memory.
   *
   * @throws DmaeError "argument" for unknown or missing inputs and after `dispose`, "shape" for other
   * shapes, dtypes or lengths than the specs say, "numeric" for NaN
   */
  call(inputs: InFormOf<Specs, HostTensor>): Promise<HostResult<Result>>;
  /** Facts about the graph. */
  readonly statistics: ProgramStatistics;
  /** Frees the graph; tensors that `call` returned stay. */
  dispose(): void;
}

/**
 * Compiles a pure function of TensorFlow.js tensors, gradients included, to one ONNX graph.
 *
 * The function runs once, on a backend that records instead of computing, so shapes are those of the
 * specs and JavaScript control flow is decided then. Tensors it closes over become constants.
 *
 * @param fn synchronous, returns a tensor or a record of tensors; reads no values (`dataSync`) and draws no
 * random numbers
 * @param specs the inputs, a record of shapes and dtypes, nested as `fn` wants it
 * @throws DmaeError "argument", "shape" or "numeric" for options, specs, constants and results that are none; "unsupported" naming an operation without translation, a host read or an unseeded
 * draw together with the line that called it, or where ONNX Runtime is missing
 * @example
 * ```ts
 * const square = await compile(({ x }) => ({ y: tf.square(x) }), { x: { shape: [2] } });
 * const { y } = await square.call({ x: { dtype: "float32", shape: [2], data: Float32Array.of(2, 3) } });
 * y.data; // Float32Array [4, 9]
 * ```
 */
export async function compile<Specs extends NestedSpecs, Result extends ResultForm<Result>>(
  fn: (inputs: InFormOf<Specs, Tensor> & Record<string, Tensor>) => Result,
  specs: Specs,
  options: CompileOptions = {},
): Promise<CompiledFunction<Specs, Result>> {
  checkRuntimeOptions("compile", options);
  const flat = flatSpecs("compile", specs);
  const { program, form } = await load(fn as NestedFunction, specs, flat, options);
  return nestedFunction(program, flat, form) as CompiledFunction<Specs, Result>;
}

type NestedFunction = (inputs: Record<string, Tensor>) => NestedTensors | Tensor;

/** The program of `fn`, and the form of its result; null for one tensor. */
async function load(
  fn: NestedFunction,
  specs: NestedSpecs,
  flat: TensorSpecs,
  options: CompileOptions,
): Promise<{ program: LoadedProgram; form: NestedSpecs | null }> {
  const { constants = {} } = options;
  checkTensors("compile", "constants", constants, namesOf(specs, flat));
  let form: NestedSpecs | null = null;
  const flatFn = flatFunction("compile", fn, specs, constants, (result) => {
    form = result instanceof Tensor ? null : specsOf(result);
  });
  const makeTrace = () => trace("compile", flatFn, flat, constants);
  return { program: await LoadedProgram.load("compile", makeTrace, options), form };
}

/** Knows no constants: where the caller has dropped them, the runtime's copies are the only ones. */
function nestedFunction(
  program: LoadedProgram,
  flat: TensorSpecs,
  form: NestedSpecs | null,
): CompiledFunction<NestedSpecs, unknown> {
  return {
    statistics: program.statistics,
    async call(inputs) {
      const results = await runFunction(program, flatInputs("call", inputs, flat));
      return (form ? unflatten(results, form, isSpec) : results[OUTPUT]) as HostResult<unknown>;
    },
    dispose: () => program.dispose(),
  };
}

/** Shapes in place of tensors. */
const specsOf = (tensors: NestedTensors): NestedSpecs =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, value]) => [
      name,
      isTensor(value) ? { shape: value.shape } : specsOf(value),
    ]),
  );
