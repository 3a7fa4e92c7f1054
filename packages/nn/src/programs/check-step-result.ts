import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import type { StepFunction } from "../executor.ts";
import type { Tensors } from "../params.ts";

/**
 * Checks what a step returned, for those who write an executor: a state of the names, shapes and dtypes of the one
 * before, and metrics of one number each.
 *
 * @param caller whose error it is, `run`
 * @returns `result`
 * @throws DmaeError "argument" for a promise, a part that is missing or no tensor; "shape" for another state and metrics of more numbers
 */
export function checkStepResult(
  caller: string,
  before: Tensors,
  result: ReturnType<StepFunction>,
): ReturnType<StepFunction> {
  const { then, state, metrics } = (result ?? {}) as Partial<typeof result> & { then?: unknown };
  if (typeof then === "function") {
    Promise.resolve(result).catch(() => {}); // a rejection that nobody hears would end the process
    throw new DmaeError("argument", `${caller}: the step must be synchronous, got a promise`);
  }
  if (!isRecord(state) || !isRecord(metrics))
    throw new DmaeError(
      "argument",
      `${caller}: the step must return {state, metrics}, two records of tensors; ` +
        `state was ${describe(state)}, metrics ${describe(metrics)}`,
    );
  for (const name of new Set([...Object.keys(before), ...Object.keys(state)]))
    if (describe(before[name]) !== describe(state[name]))
      throw new DmaeError(
        "shape",
        `${caller}: the step must return the state it was given; ${name} was ${describe(before[name])}, became ${describe(state[name])}`,
        { name },
      );
  for (const [name, metric] of Object.entries(metrics)) checkMetric(caller, name, metric);
  return result;
}

function checkMetric(caller: string, name: string, metric: unknown): void {
  if (metric instanceof tf.Tensor && metric.size === 1) return;
  throw new DmaeError(
    metric instanceof tf.Tensor ? "shape" : "argument",
    `${caller}: metric ${name} must be a tensor of one number, got ${describe(metric)}` +
      (metric instanceof tf.Tensor ? "; reduce it, with tf.mean or tf.sum" : ""),
    { name },
  );
}

const isRecord = (value: unknown): value is Tensors =>
  typeof value === "object" && value !== null && !(value instanceof tf.Tensor);

function describe(value: unknown): string {
  if (value === undefined) return "absent";
  if (value instanceof tf.Tensor) return `${value.dtype} [${value.shape}]`;
  return typeof value === "object" && value !== null ? "a record" : String(value);
}
