import type { HostTensor, HostTensors } from "@dmae/core";
import type { TensorSpec } from "@dmae/nn";
import { Tensor } from "@tensorflow/tfjs-core";
import { runFunction } from "./compiled-executor.ts";
import {
  checkInputs,
  LoadedProgram,
  type PrecisionOptions,
  type ProgramStatistics,
} from "./program.ts";
import { flatFunction } from "./quantize.ts";
import type { RuntimeOptions } from "./runtime.ts";
import {
  flatSpecs,
  flatten,
  isSpec,
  isTensor,
  type NestedHostTensors,
  type NestedRecord,
  type NestedSpecs,
  type NestedTensors,
  OUTPUT,
  unflatten,
} from "./specs.ts";
import { trace } from "./trace.ts";

/** A record of the form of `Specs` with `Leaf` in place of every spec. */
export type InFormOf<Specs, Leaf> = {
  [Name in keyof Specs]: Specs[Name] extends TensorSpec ? Leaf : InFormOf<Specs[Name], Leaf>;
};

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
 * @throws DmaeError "unsupported" naming an operation without translation, a host read or an unseeded
 * draw together with the line that called it, or where ONNX Runtime is missing
 * @example
 * ```ts
 * const square = await compile(({ x }) => ({ y: tf.square(x) }), { x: { shape: [2] } });
 * const { y } = await square.call({ x: { dtype: "float32", shape: [2], data: Float32Array.of(2, 3) } });
 * y.data; // Float32Array [4, 9]
 * ```
 */
export async function compile<Specs extends NestedSpecs, Result extends NestedTensors | Tensor>(
  fn: (inputs: InFormOf<Specs, Tensor> & Record<string, Tensor>) => Result,
  specs: Specs,
  options: CompileOptions = {},
): Promise<CompiledFunction<Specs, Result>> {
  const { constants = {} } = options;
  const flat = flatSpecs(specs);
  let form: NestedTensors | Tensor = {};
  const flatFn = flatFunction("compile", fn, specs, constants, (result) => {
    form = result;
  });
  const program = await LoadedProgram.load(
    "compile",
    () => trace("compile", flatFn, flat, constants),
    options,
  );
  return {
    statistics: program.statistics,
    async call(inputs) {
      const values = flatten<HostTensor>(inputs as NestedHostTensors, isSpec);
      checkInputs("call", values, flat);
      const results = await runFunction(program, values);
      if (form instanceof Tensor) return results[OUTPUT] as HostResult<Result>;
      return unflatten(
        results,
        form as NestedRecord<Tensor>,
        isTensor as never,
      ) as HostResult<Result>;
    },
    dispose: () => program.dispose(),
  };
}
