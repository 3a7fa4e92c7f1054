import type { HostTensor, HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { Executor, InputSpecs, PreparedFunction, Program, ResultForm } from "@dmae/nn";
import { type FlatProgram, flatProgram } from "@dmae/nn/executors";
import { prepareStep, prepareSteps } from "./prepared-step.ts";
import {
  checkPrecision,
  LoadedProgram,
  type PrecisionOptions,
  type ProgramStatistics,
  precisionNames,
  toHostTensor,
} from "./runtime/program.ts";
import {
  checkRuntimeOptions,
  providerOf,
  type RuntimeOptions,
  runtimeNames,
} from "./runtime/runtime.ts";
import { trace } from "./tracing/trace.ts";

/** Options of {@link compiledExecutor}. */
export interface CompiledExecutorOptions extends RuntimeOptions, PrecisionOptions {
  /** Called with facts about every program that is made. */
  readonly onCompiled?: ((statistics: ProgramStatistics) => void) | undefined;
}

/** A program that ONNX Runtime executes as one graph: call it with the inputs. */
export interface CompiledFunction<Specs, Result> extends PreparedFunction<Specs, Result> {
  /** Facts about the graph. */
  readonly statistics: ProgramStatistics;
}

/**
 * Runs steps and functions as one ONNX graph each: traced once when they are prepared, executed by
 * ONNX Runtime. The state of a step stays in buffers that change places every step.
 *
 * @example
 * ```ts
 * const step = await compiledExecutor().prepareStep(fn, { state, batch: { x: [8, 2] } });
 * const { loss } = await step({ x });
 * ```
 */
export function compiledExecutor(options: CompiledExecutorOptions = {}): Executor {
  checkOptions("compiledExecutor", options, {
    ...runtimeNames,
    ...precisionNames,
    onCompiled: true,
  });
  checkRuntimeOptions("compiledExecutor", options);
  // int8 is checked with each program, of which training refuses it whatever the scales
  if (options.precision !== "int8")
    checkPrecision("compiledExecutor", options, providerOf(options));
  const isHalf = options.precision === "bfloat16" || options.precision === "float16";
  return {
    name: `compiled:${providerOf(options)}${isHalf ? `:${options.precision}` : ""}`,
    async prepareStep(step, init) {
      const prepared = await prepareStep("prepareStep", step, init, options);
      options.onCompiled?.(prepared.statistics);
      return prepared;
    },
    prepareSteps: (init) => prepareSteps("prepareSteps", init, options, options.onCompiled),
    async prepareFunction(program) {
      const prepared = await loadFunction("prepareFunction", program, options);
      options.onCompiled?.(prepared.statistics);
      return prepared;
    },
  };
}

/** Traces and loads a program for `caller`, whose name errors carry. */
export async function loadFunction<Specs extends InputSpecs, Result extends ResultForm<Result>>(
  caller: string,
  program: Program<Specs, Result>,
  options: RuntimeOptions & PrecisionOptions,
): Promise<CompiledFunction<Specs, Result>> {
  checkRuntimeOptions(caller, options);
  const flat = flatProgram(caller, program);
  const { inputs, result } = flat;
  const loaded = await LoadedProgram.load(caller, tracer(caller, flat), options);
  return compiledFunction(loaded, inputs, result) as CompiledFunction<Specs, Result>;
}

const tracer =
  (caller: string, { fn, specs, constants }: FlatProgram) =>
  () =>
    trace(caller, fn, specs, constants);

/** Holds no constants: if the caller has dropped them, the runtime's copies are the only ones. */
function compiledFunction(
  program: LoadedProgram,
  inputs: FlatProgram["inputs"],
  result: FlatProgram["result"],
) {
  const call = async (values: unknown) => result(await runFunction(program, inputs(values)));
  return Object.assign(call, {
    statistics: program.statistics,
    dispose: () => program.dispose(),
  });
}

/** Runs a program on host values. */
async function runFunction(
  program: LoadedProgram,
  values: HostTensors,
): Promise<Record<string, HostTensor>> {
  const results = await program.run(program.copies(values));
  const host: Record<string, HostTensor> = {};
  for (const [name, spec] of program.outputs) host[name] = await toHostTensor(results[name]!, spec);
  return host;
}
