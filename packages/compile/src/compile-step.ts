import type { StepFunction } from "@dmae/nn";
import { type CompiledStep, prepareStep, type StepInit } from "./prepared-step.ts";
import type { RuntimeOptions } from "./runtime/runtime.ts";

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
export function compileStep(
  step: StepFunction,
  init: StepInit,
  options: RuntimeOptions = {},
): Promise<CompiledStep> {
  return prepareStep("compileStep", step, init, options);
}
