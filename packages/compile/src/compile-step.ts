import type { HostTensor, HostTensors } from "@dmae/core";
import type { StepFunction, TensorSpecs } from "@dmae/nn";
import { compiledExecutor } from "./compiled-executor.ts";
import type { ProgramStatistics } from "./program.ts";
import type { RuntimeOptions } from "./runtime.ts";

/** A step whose state lives in the compiled program. */
export interface CompiledStep {
  /** Runs one step and returns its metrics as numbers; calls queue up. */
  run(batch: HostTensors): Promise<Record<string, number>>;
  /** A copy of the state. */
  state(): Promise<Record<string, HostTensor>>;
  /** Facts about the graph. */
  readonly statistics: ProgramStatistics;
  /** Frees state and graph. */
  dispose(): void;
}

/**
 * Compiles one pure training step, gradients and optimizer included, to one ONNX graph.
 *
 * @param step `(state, batch) -> {state, metrics}`; see `StepFunction` of `@dmae/nn`
 * @param init the initial state, and the specs of every batch
 * @example
 * ```ts
 * const compiled = await compileStep(
 *   ({ w }, { x }) => ({ state: { w: tf.add(w, x) }, metrics: { sum: tf.sum(x) } }),
 *   { state: { w }, batch: { x: { shape: [2] } } },
 * );
 * const { sum } = await compiled.run({ x });
 * ```
 */
export async function compileStep(
  step: StepFunction,
  init: { readonly state: HostTensors; readonly batch: TensorSpecs },
  options: RuntimeOptions = {},
): Promise<CompiledStep> {
  let statistics: ProgramStatistics | undefined;
  const executor = compiledExecutor({
    ...options,
    onCompiled: (facts) => {
      statistics = facts;
    },
  });
  const prepared = await executor.prepareStep(step, init);
  return {
    run: (batch) => prepared.run(batch),
    state: () => prepared.state(),
    statistics: statistics!,
    dispose: () => prepared.dispose(),
  };
}
