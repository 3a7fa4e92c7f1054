import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import type { StepFunction } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { failure } from "../../../testing/failure.ts";
import { compiledExecutor, compileStep } from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const w: HostTensor = { dtype: "float32", shape: [2], data: Float32Array.of(1, 2) };
const init = { state: { w }, batch: { x: { shape: [2] } } };

const makers: [string, (step: StepFunction, start: typeof init) => Promise<unknown>][] = [
  ["compileStep", (step, start) => compileStep(step, start)],
  ["prepareStep", (step, start) => compiledExecutor().prepareStep(step, start)],
];

describe.each(makers)("%s", (caller, make) => {
  const message = async (step: unknown, start: unknown = init) =>
    (await failure(() => make(step as StepFunction, start as typeof init))).message;

  it("refuses metrics of more than one number", async () => {
    const step: StepFunction = ({ w }, { x }) => ({ state: { w: w! }, metrics: { m: x! } });
    expect(await message(step)).toBe(
      `${caller}: metric m must be a tensor of one number, got float32 [2]; reduce it, with tf.mean or tf.sum`,
    );
    const number = ({ w }: { w: tf.Tensor }) => ({ state: { w }, metrics: { m: 3 } });
    expect(await message(number)).toBe(`${caller}: metric m must be a tensor of one number, got 3`);
  });

  it("refuses results without state or metrics, and promises", async () => {
    expect(await message(({ w }: { w: tf.Tensor }) => ({ state: { w } }))).toBe(
      `${caller}: the step must return {state, metrics}, two records of tensors; state was a record, metrics absent`,
    );
    expect(await message(() => ({ metrics: {} }))).toContain("state was absent, metrics a record");
    expect(await message(() => undefined)).toContain("state was absent, metrics absent");
    expect(await message(async () => ({ state: {}, metrics: {} }))).toBe(
      `${caller}: the step must be synchronous, got a promise`,
    );
    const changed = () => ({ state: { w: tf.zeros([3]) }, metrics: {} });
    expect(await message(changed)).toBe(
      `${caller}: the step must return the state it was given; w was float32 [2], became float32 [3]`,
    );
  });

  it("checks the state and the specs that it starts with", async () => {
    const step: StepFunction = (state) => ({ state, metrics: {} });
    const short = { ...w, data: Float32Array.of(1) };
    expect(await message(step, { ...init, state: { w: short } })).toContain(
      `${caller}: w must hold a Float32Array of 2 values, got Float32Array of 1`,
    );
    expect(await message(step, { ...init, state: null })).toBe(
      `${caller}: state must be a record of host tensors, got null`,
    );
    expect(await message(step, null)).toContain("state must be a record of host tensors");
    expect(await message("x")).toBe(`${caller}: the step must be a function, got "x"`);
    expect(await message(step, { ...init, batch: { x: 2 } })).toBe(
      `${caller}: x of batch must be a spec {shape, dtype}, got 2`,
    );
  });
});

it("metrics may be tensors of shape [1], integers and bools", async () => {
  const step = await compileStep(
    ({ w }, { x }) => ({
      state: { w: w! },
      metrics: {
        last: tf.slice(x!, 1, 1),
        count: tf.sum(tf.cast(x!, "int32")),
        all: tf.all(tf.greater(x!, 0)),
      },
    }),
    init,
  );
  const x: HostTensor = { ...w, data: Float32Array.of(4, 5) };
  expect(await step({ x })).toEqual({ last: 5, count: 9, all: 1 });
  step.dispose();
});
