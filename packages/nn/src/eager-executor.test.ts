import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import type { HostTensor } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { eagerExecutor, type StepFunction, selectBackend, valueAndGradients } from "./index.ts";

const host = (...values: number[]): HostTensor => ({
  dtype: "float32",
  shape: [values.length],
  data: Float32Array.from(values),
});

/** Gradient descent on (w x - y)^2 with a parameter that never changes. */
const step: StepFunction = (state, batch) => {
  const { loss, gradients } = valueAndGradients(
    ({ w }) => ({ loss: tf.sum(tf.squaredDifference(tf.mul(w!, batch.x!), batch.y!)) }),
    { w: state.w! },
  );
  const w = tf.sub(state.w!, tf.mul(gradients.w!, 0.125));
  return { state: { w, frozen: state.frozen! }, metrics: { loss } };
};

const init = {
  state: { w: host(0), frozen: host(5, 6) },
  batch: { x: { shape: [1] }, y: { shape: [1] } },
};

describe.each(["cpu", "wasm"])("eagerExecutor on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  test("steps by hand, state carried and copied, all memory returned", async () => {
    expect(eagerExecutor().name).toBe(`eager:${backend}`);
    await expectNoLeak(async () => {
      const prepared = await eagerExecutor().prepareStep(step, init);
      const batch = { x: host(2), y: host(4) };
      expect(await prepared(batch)).toEqual({ loss: 16 }); // w: 0 -> 2
      const before = tf.memory().numTensors;
      expect(await prepared(batch)).toEqual({ loss: 0 });
      expect(tf.memory().numTensors).toBe(before);
      expect(await prepared.state()).toEqual({ w: host(2), frozen: host(5, 6) });
      prepared.dispose();
    });
    expect(Array.from(init.state.w.data)).toEqual([0]);
  });

  test("metrics may be the batch or the state before the step", async () => {
    await expectNoLeak(async () => {
      const prepared = await eagerExecutor().prepareStep(
        (state, batch) => ({
          state: { w: batch.x!, frozen: state.frozen! },
          metrics: { before: state.w!, x: batch.x!, y: batch.y! },
        }),
        init,
      );
      const run = (x: number) => prepared({ x: host(x), y: host(-x) });
      expect(await run(1)).toEqual({ before: 0, x: 1, y: -1 });
      expect(await run(2)).toEqual({ before: 1, x: 2, y: -2 });
      prepared.dispose();
    });
  });

  test("functions keep their constants; inputs and constants may be passed through", async () => {
    await expectNoLeak(async () => {
      const prepared = await eagerExecutor().prepareFunction({
        fn: ({ k, x }) => ({ sum: tf.add(k!, x!), x: x!, k: k! }),
        specs: { x: { shape: [2] } },
        constants: { k: host(1, 2) },
      });
      for (let i = 0; i < 2; i++)
        expect(await prepared({ x: host(i, 1) })).toEqual({
          sum: host(1 + i, 3),
          x: host(i, 1),
          k: host(1, 2),
        });
      prepared.dispose();
    });
  });

  test("calls that overlap end as if alone, also where one fails or all are disposed of meanwhile", async () => {
    await expectNoLeak(async () => {
      const prepared = await eagerExecutor().prepareFunction({
        fn: ({ k, x }) => ({ sum: tf.add(k!, x!), k: k! }),
        specs: { x: { shape: [2] } },
        constants: { k: host(1, 2) },
      });
      const stepping = await eagerExecutor().prepareStep(step, init);
      const batch = { x: host(2), y: host(4) };
      const calls = [
        prepared({ x: host(1, 1) }),
        prepared({ x: host(1) }),
        stepping(batch),
        prepared({ x: host(2, 2) }),
        stepping({ x: host(2) }),
        stepping(batch),
        stepping.state(),
      ];
      prepared.dispose();
      stepping.dispose();
      const results = await Promise.allSettled(calls as Promise<unknown>[]);
      expect(results.map((r) => (r.status === "rejected" ? "failed" : r.value))).toEqual([
        { sum: host(2, 3), k: host(1, 2) },
        "failed",
        { loss: 16 },
        { sum: host(3, 4), k: host(1, 2) },
        "failed",
        { loss: 0 },
        { w: host(2), frozen: host(5, 6) },
      ]);
      await expect(prepared({ x: host(1, 1) })).rejects.toThrow(/disposed of/);
      await expect(stepping.state()).rejects.toThrow(/disposed of/);
    });
  });

  test("refuses an input that would hide a constant", async () => {
    const inputs = { x: { shape: [1] }, w: { shape: [1] } };
    const constants = { w: host(1) };
    await expectNoLeak(async () => {
      const prepare = eagerExecutor().prepareFunction({
        fn: ({ x }) => ({ x: x! }),
        specs: inputs,
        constants,
      });
      await expect(prepare).rejects.toThrow(/w is both an input and one of the constants/);
    });
  });

  test("errors name the input, the shape and the way out", async () => {
    const prepared = await eagerExecutor().prepareStep(step, init);
    await expect(prepared({ x: host(1) })).rejects.toThrow(/missing: y, unknown: none/);
    await expect(prepared({ x: host(1), y: host(1), z: host(1) })).rejects.toThrow(/unknown: z/);
    await expect(prepared({ x: host(1, 2), y: host(1) })).rejects.toThrow(
      /x must be float32 \[1\], got float32 \[2\]/,
    );
    prepared.dispose();
    await expect(prepared({ x: host(1), y: host(1) })).rejects.toThrow(/disposed of/);
    const grows: StepFunction = (state) => ({
      state: { ...state, w: tf.concat([state.w!, state.w!]) },
      metrics: {},
    });
    await expectNoLeak(async () => {
      const bad = await eagerExecutor().prepareStep(grows, init);
      await expect(bad({ x: host(1), y: host(1) })).rejects.toThrow(
        /w was float32 \[1\], became float32 \[2\]/,
      );
      bad.dispose();
    });
  });
});
