import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor, HostTensors } from "@dmae/core";
import { eagerExecutor, type StepFunction, type Tensors, valueAndGradients } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { compile, compiledExecutor, compileStep } from "../index.ts";
import { findCCompiler } from "../kernels/c-compiler.ts";
import { draws } from "../testing/sweep.ts";
import { deviceFor } from "./device.ts";

// The CPU provider stands in for a card: the same sessions, blocks, copies and threads, with the host's memory as the device's.
const compiler = await findCCompiler();
const onDevice = () => vi.stubEnv("DMAE_DEVICE_STATE", "cpu");
beforeEach(() => void vi.stubEnv("DMAE_DEVICE_STATE", "off"));
afterEach(() => void vi.unstubAllEnvs());
beforeAll(() => tf.setBackend("cpu"));

const random = draws(3, "device memory");
const [batch, width, classes] = [4, 12, 5];
const init = {
  w: random.floats([classes, width], -1, 1),
  b: random.floats([classes], -1, 1),
  m: random.floats([classes, width], -0.1, 0.1),
  count: { dtype: "int32", shape: [], data: Int32Array.of(3) },
} satisfies HostTensors;
const specs = { x: { shape: [batch, width] }, y: { shape: [batch], dtype: "int32" } } as const;

/** Momentum on a softmax regression: every kind of entry, and a label that may lie outside of the classes. */
const train: StepFunction = (state, batch) => {
  const { w, b, m, count } = state as Record<"w" | "b" | "m" | "count", tf.Tensor>;
  const { x, y } = batch as Record<"x" | "y", tf.Tensor>;
  const { loss, gradients } = valueAndGradients(
    (p: Tensors) => {
      const logits = tf.add(tf.matMul(x, p.w!, false, true), p.b!);
      const wanted = tf.gather(tf.eye(classes), y);
      return { loss: tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits), wanted), 1))) };
    },
    { w: w!, b: b! },
  );
  const moment = tf.add(tf.mul(m!, 0.9), gradients.w!);
  return {
    state: {
      w: tf.sub(w!, tf.mul(moment, 0.1)),
      b: tf.sub(b!, tf.mul(gradients.b!, 0.1)),
      m: moment,
      count: tf.add(count!, tf.scalar(1, "int32")),
    },
    metrics: { loss, count: count! },
  };
};

const batchOf = (i: number): HostTensors => ({
  x: draws(i, "batch").floats([batch, width], -1, 1),
  y: { dtype: "int32", shape: [batch], data: Int32Array.from([0, 1, 2, 3], (v) => (v + i) % 5) },
});
const bits = (state: HostTensors) =>
  Object.fromEntries(Object.entries(state).map(([name, { data }]) => [name, [...data]]));

async function run(state: HostTensors, from: number, steps: number, options = {}) {
  const step = await compileStep(train, { state, batch: specs }, options);
  const metrics = [];
  for (let i = from; i < from + steps; i++) metrics.push(await step(batchOf(i)));
  const after = await step.state();
  const { memory } = step.statistics;
  step.dispose();
  return { metrics, after, memory };
}

describe.skipIf(!compiler)("state in the memory of a device", () => {
  it.each(["standard", "generated"] as const)("gives the bits of 20 steps, %s", async (kernels) => {
    const host = await run(init, 0, 20, { kernels });
    expect(host.memory).toBe("host");
    onDevice();
    const device = await run(init, 0, 20, { kernels });
    expect(device.memory).toBe("device");
    expect(device.metrics).toEqual(host.metrics);
    expect(bits(device.after)).toEqual(bits(host.after));
    expect(device.after.w!.shape).toEqual([classes, width]);
    expect(device.after.count).toEqual({ dtype: "int32", shape: [], data: Int32Array.of(23) });
  });

  it("trains as the eager executor does", async () => {
    onDevice();
    const { metrics } = await run(init, 0, 20);
    const eager = await eagerExecutor().prepareStep(train, { state: init, batch: specs });
    for (let i = 0; i < 20; i++) {
      const { loss } = await eager(batchOf(i));
      expect(metrics[i]!.loss! / loss! - 1).toBeCloseTo(0, 5);
    }
    eager.dispose();
  });

  it("goes on from what was read", async () => {
    onDevice();
    const whole = await run(init, 0, 7);
    const half = await run(init, 0, 3);
    expect(bits((await run(half.after, 3, 4)).after)).toEqual(bits(whole.after));
  });

  it("runs calls that overlap in their order, on what was lent when they were made", async () => {
    const want = await run(init, 0, 6);
    onDevice();
    const step = await compileStep(train, { state: init, batch: specs });
    const calls = Array.from({ length: 6 }, (_, i) => {
      const lent = batchOf(i);
      const call = step(lent);
      for (const { data } of Object.values(lent)) data.fill(0);
      return call;
    });
    const state = step.state();
    step.dispose();
    expect(await Promise.all(calls)).toEqual(want.metrics);
    expect(bits(await state)).toEqual(bits(want.after));
    await expect(step(batchOf(0))).rejects.toThrow("was disposed of");
  });

  it("uses batches that were brought ahead, and others in their place", async () => {
    const want = await run(init, 0, 5);
    onDevice();
    const step = await compileStep(train, { state: init, batch: specs });
    const batches = [0, 1, 2, 3, 4].map(batchOf);
    const metrics = [];
    for (const [i, batch] of batches.entries()) {
      const running = step(batch);
      // the next batch, a batch that is never run, one that is wrong, or none
      step.bring!(
        [batches[1]!, batchOf(9), { x: batchOf(9).x! } as never, batches[4]!][i] ?? batch,
      );
      metrics.push(await running);
      for (const { data } of Object.values(batch)) data.fill(1); // as it was when it was brought or called
    }
    expect(metrics).toEqual(want.metrics);
    expect(bits(await step.state())).toEqual(bits(want.after));
    step.bring!(batchOf(1));
    step.dispose();
    step.bring!(batchOf(1));
  });

  it("keeps the state of the last step that ended, where one fails", async () => {
    const want = await run(init, 0, 3);
    onDevice();
    const step = await compileStep(train, { state: init, batch: specs }, { kernels: "standard" });
    const wrong = { ...batchOf(9), y: { ...batchOf(9).y!, data: Int32Array.of(0, 1, 99, 3) } };
    const results = await Promise.allSettled([
      step(batchOf(0)),
      step(wrong),
      step(batchOf(1)),
      step({ x: batchOf(1).x! }),
      step(batchOf(2)),
    ]);
    expect(results.map(({ status }) => status === "fulfilled")).toEqual([
      ...[true, false, true, false, true],
    ]);
    expect(String((results[1] as PromiseRejectedResult).reason)).toMatch(
      /compileStep: ONNX Runtime failed: .*out of data bounds/,
    );
    expect(bits(await step.state())).toEqual(bits(want.after));
    step.dispose();
  });

  it("is shared by several steps, and exchanged", async () => {
    const make = async () => {
      const steps = await compiledExecutor().prepareSteps!({
        state: { g: init.w, w: init.w, s: init.b },
        exchanged: ["g", "s"],
        steps: {
          add: {
            step: ({ g, s }, { x }) => ({
              state: { g: tf.add(g!, x!), s: tf.mul(s!, 1.5) },
              metrics: { sum: tf.sum(g!) },
            }),
            batch: { x: [classes, width] },
          },
          move: {
            step: ({ g, w }) => ({
              state: { w: tf.sub(w!, g!), g: tf.zerosLike(g!) },
              metrics: { norm: tf.sum(tf.square(g!)) },
            }),
            batch: {},
          },
        },
      });
      const metrics = [];
      for (const name of ["add", "add", "move", "add", "move", "move", "add"]) {
        metrics.push(await steps.run(name, name === "add" ? { x: random2() } : {}));
        await steps.exchange(async (values) => {
          for (const value of values) value.forEach((v, i) => void (value[i] = v / 2));
        });
      }
      const state = bits(await steps.state());
      steps.dispose();
      return { metrics, state };
    };
    const random2 = () => draws(8, "g").floats([classes, width], -1, 1);
    const want = await make();
    onDevice();
    expect(await make()).toEqual(want);
  });

  it("has functions of several outputs, beside each other and disposed of meanwhile", async () => {
    const fn = ({ x, n }: Record<"x" | "n", tf.Tensor>) => ({
      y: tf.matMul(x, tf.tensor2d([...init.w.data], [classes, width]), false, true),
      big: tf.greater(x, 0),
      n: tf.add(n, tf.scalar(1, "int32")),
    });
    const inputs = (i: number) => ({ x: batchOf(i).x as HostTensor, n: Int32Array.of(i) });
    const given = { x: [batch, width], n: { shape: [1], dtype: "int32" } } as const;
    const host = await compile(fn, given);
    onDevice();
    const device = await compile(fn, given);
    expect(device.statistics.memory).toBe("device");
    const answers = [0, 1, 2, 3, 4].map((i) => device(inputs(i)));
    device.dispose();
    for (const [i, answer] of (await Promise.all(answers)).entries())
      expect(answer).toEqual(await host(inputs(i)));
    await expect(device(inputs(0))).rejects.toThrow("was disposed of");
    host.dispose();
  });
});

it("inputs without elements are inputs", async () => {
  onDevice();
  const sums = await compile(({ x }) => tf.sum(x, 1), { x: [0, 3] });
  expect(await sums({ x: new Float32Array(0) })).toMatchObject({ shape: [0] });
  sums.dispose();
});

it("a wrong place is refused", async ({ skip }) => {
  onDevice();
  const { device } = await deviceFor("test", {});
  if (!device) return skip("no C compiler");
  const block = device.allocate(16);
  const data = Float32Array.of(1, 2, 3, 4);
  await device.copy(data, [block, 0], 16);
  await expect(async () => device.copy(data, [block, 8], 16)).rejects.toThrow(
    "the target needs 16 bytes of a block that was not freed",
  );
  await expect(async () => device.copy([block, 0], data, 8)).rejects.toThrow(
    "the target needs an array of 8 bytes, got 16",
  );
  const back = new Float32Array(2);
  await device.copy([block, 4], back, 8);
  expect([...back]).toEqual([2, 3]);
  device.free(block);
  await expect(async () => device.copy([block, 0], data, 16)).rejects.toThrow("was not freed");
});
