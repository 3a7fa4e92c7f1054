import { checkOptions } from "@dmae/core/checks";
import type { InputSpecs, Program, ResultForm } from "@dmae/nn";
import { type CompiledFunction, loadFunction } from "./compiled-executor.ts";
import { type PrecisionOptions, precisionNames } from "./runtime/program.ts";
import { type RuntimeOptions, runtimeNames } from "./runtime/runtime.ts";

/** Options of {@link compile}. */
export interface CompileOptions extends RuntimeOptions, PrecisionOptions {}

/**
 * Compiles a pure function of TensorFlow.js tensors, gradients included, to one ONNX graph.
 *
 * The function runs once, on a backend that records instead of computing, so shapes are those of the
 * specs and JavaScript control flow is decided then. Tensors it closes over become constants.
 *
 * `compile(fn, specs)` is short for `compile({ fn, specs })`; a program with `constants` is given as a whole.
 *
 * @param fn synchronous, returns a tensor or a record of tensors, reads no values (`dataSync`) and draws no random numbers
 * @param specs shapes and dtypes of its inputs
 * @returns a function of the inputs (plain arrays, typed arrays or host tensors); dispose of it when you are done
 * @throws DmaeError "argument", "shape" or "numeric" if an option, spec, constant or result is invalid; "unsupported"
 * naming an operation without translation, a host read or an unseeded draw together with the line that called it, or
 * if ONNX Runtime is missing
 * @example
 * ```ts
 * const square = await compile(({ x }) => tf.square(x), { x: [2] });
 * const y = await square({ x: [2, 3] });
 * y.data; // Float32Array [4, 9]
 * ```
 */
export function compile<Specs extends InputSpecs, Result extends ResultForm<Result>>(
  fn: Program<Specs, Result>["fn"],
  specs: Specs,
  options?: CompileOptions,
): Promise<CompiledFunction<Specs, Result>>;
/**
 * Compiles a whole program.
 *
 * @param program function, specs and constants
 */
export function compile<Specs extends InputSpecs, Result extends ResultForm<Result>>(
  program: Program<Specs, Result>,
  options?: CompileOptions,
): Promise<CompiledFunction<Specs, Result>>;
export async function compile<Specs extends InputSpecs, Result extends ResultForm<Result>>(
  first: Program<Specs, Result> | Program<Specs, Result>["fn"],
  second?: Specs | CompileOptions,
  third?: CompileOptions,
): Promise<CompiledFunction<Specs, Result>> {
  const isProgram = typeof first === "object" && first !== null && "fn" in first;
  const program = isProgram ? first : { fn: first as never, specs: second as Specs };
  const options = ((isProgram ? second : third) ?? {}) as CompileOptions;
  checkOptions("compile", options, { ...runtimeNames, ...precisionNames });
  return loadFunction("compile", program, options);
}
