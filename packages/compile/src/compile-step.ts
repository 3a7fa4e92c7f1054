import { checkOptions } from "@dmae/core/checks";
import type { StepFunction, StepInit } from "@dmae/nn";
import { type CompiledStep, prepareStep } from "./prepared-step.ts";
import { type PrecisionOptions, precisionNames } from "./runtime/program.ts";
import { type RuntimeOptions, runtimeNames } from "./runtime/runtime.ts";

/**
 * Compiles one pure training step, gradients and optimizer included, to one ONNX graph.
 *
 * @param step `(state, batch) -> {state, metrics}`; see `StepFunction` of `@dmae/nn`
 * With `precision: "float16"` the loss is scaled: a step whose gradients leave the range changes nothing, and the metrics `lossScale`
 * and `skipped` (0 or 1) say so; `scaling()` gives the scale, from which `init.scaling` goes on.
 *
 * @param init the initial state, and the specs of every batch
 * @example
 * ```ts
 * const step = await compileStep(
 *   ({ w }, { x }) => ({ state: { w: tf.add(w, x) }, metrics: { sum: tf.sum(x) } }),
 *   { state: { w }, batch: { x: [2] } },
 * );
 * const { sum } = await step({ x: [1, 2] });
 * ```
 */
export async function compileStep<
  State extends string,
  Batch extends string,
  Metric extends string,
>(
  step: StepFunction<State, Batch, Metric>,
  init: StepInit<State, Batch>,
  options: RuntimeOptions & PrecisionOptions = {},
): Promise<CompiledStep<State, Batch, Metric>> {
  checkOptions("compileStep", options, { ...runtimeNames, ...precisionNames });
  return prepareStep("compileStep", step, init, options);
}
