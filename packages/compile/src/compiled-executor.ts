import type { HostTensor, HostTensors } from "@dmae/core";
import type { Executor, PreparedFunction, TensorSpecs } from "@dmae/nn";
import { prepareStep } from "./prepared-step.ts";
import {
  LoadedProgram,
  type PrecisionOptions,
  type ProgramStatistics,
  toHostTensor,
} from "./runtime/program.ts";
import { checkRuntimeOptions, providerOf, type RuntimeOptions } from "./runtime/runtime.ts";
import { checkInputs, checkTensors } from "./specs/check-values.ts";
import { checkSpecs } from "./specs/specs.ts";
import { trace } from "./tracing/trace.ts";

/** Options of {@link compiledExecutor}. */
export interface CompiledExecutorOptions extends RuntimeOptions, PrecisionOptions {
  /** Called with facts about every program that is made. */
  readonly onCompiled?: (statistics: ProgramStatistics) => void;
}

/**
 * Runs steps and functions as one ONNX graph each: traced once when they are prepared, executed by
 * ONNX Runtime. The state of a step stays in buffers that change places every step.
 *
 * @example
 * ```ts
 * const prepared = await compiledExecutor().prepareStep(step, { state, batch: { x: { shape: [8, 2] } } });
 * const { loss } = await prepared.run({ x });
 * ```
 */
export function compiledExecutor(options: CompiledExecutorOptions = {}): Executor {
  checkRuntimeOptions("compiledExecutor", options);
  return {
    name: `compiled:${providerOf(options)}`,
    async prepareStep(step, init) {
      const prepared = await prepareStep("prepareStep", step, init, options);
      options.onCompiled?.(prepared.statistics);
      return prepared;
    },
    async prepareFunction(fn, { constants, inputs }) {
      checkSpecs("prepareFunction", "inputs", inputs);
      checkTensors("prepareFunction", "constants", constants, Object.keys(inputs));
      const makeTrace = () => trace("prepareFunction", fn, inputs, constants);
      const program = await LoadedProgram.load("prepareFunction", makeTrace, options);
      options.onCompiled?.(program.statistics);
      return preparedFunction(program, inputs);
    },
  };
}

/** Knows no constants: where the caller has dropped them, the runtime's copies are the only ones. */
const preparedFunction = (program: LoadedProgram, inputs: TensorSpecs): PreparedFunction => ({
  async run(values) {
    checkInputs("run", values, inputs);
    return runFunction(program, values);
  },
  dispose: () => program.dispose(),
});

/** Runs a program on host values. */
export async function runFunction(
  program: LoadedProgram,
  values: HostTensors,
): Promise<Record<string, HostTensor>> {
  const results = await program.run(program.copies(values));
  const host: Record<string, HostTensor> = {};
  for (const [name, spec] of program.outputs) host[name] = await toHostTensor(results[name]!, spec);
  return host;
}
