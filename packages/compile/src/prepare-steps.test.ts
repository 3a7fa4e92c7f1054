import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import { type Executor, eagerExecutor, type StepsInit, selectBackend } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { compiledExecutor } from "./index.ts";

beforeAll(() => selectBackend("cpu"));

const tensor = (...data: number[]): HostTensor => ({
  dtype: "float32",
  shape: [data.length],
  data: Float32Array.from(data),
});

/** Sums of gradients that are exchanged, and an update that reads them. */
const init: StepsInit = {
  state: { w: tensor(1, 2, 3), a: tensor(0, 0, 0), b: tensor(0), still: tensor(9) },
  steps: {
    gradients: {
      step: ({ w, a, b }, { x, keep }) => ({
        state: {
          a: tf.add(tf.mul(a!, keep!), tf.mul(w!, x!)),
          b: tf.add(tf.mul(b!, keep!), tf.reshape(tf.sum(x!), [1])),
        },
        metrics: { sum: tf.sum(x!) },
      }),
      batch: { x: [3], keep: [] },
    },
    update: {
      step: ({ w, a, b }, { rate }) => ({
        state: { w: tf.sub(w!, tf.mul(tf.add(a!, b!), rate!)) },
        metrics: {},
      }),
      batch: { rate: [] },
    },
  },
  exchanged: ["a", "b"],
};

const executors: [string, () => Executor][] = [
  ["eager", () => eagerExecutor()],
  ["compiled", () => compiledExecutor({ threads: 1 })],
  ["compiled, operators of ONNX Runtime", () => compiledExecutor({ kernels: "standard" })],
];

describe.each(executors)("prepareSteps, %s", (_, make) => {
  it("runs steps over one state, parts of which are exchanged in between", async () => {
    await expectNoLeak(async () => {
      const steps = await make().prepareSteps!(init);
      expect(await steps.run("gradients", { x: [1, 2, 3], keep: [0] })).toEqual({ sum: 6 });
      expect(await steps.run("gradients", { x: [1, 1, 1], keep: [1] })).toEqual({ sum: 3 });
      const lent: number[] = []; // of whatever memory they lie in
      await steps.exchange(async (arrays) => {
        for (const array of arrays) {
          lent.push(...array.filter((value) => value !== 0));
          array.forEach((value, i) => {
            array[i] = 2 * value;
          });
        }
      });
      expect(lent).toEqual([2, 6, 12, 9]);
      await steps.run("update", { rate: [0.5] });
      const state = await steps.state();
      expect([...state.a!.data]).toEqual([4, 12, 24]);
      expect([...state.b!.data]).toEqual([18]);
      expect([...state.w!.data]).toEqual([1 - 11, 2 - 15, 3 - 21]);
      expect([...state.still!.data]).toEqual([9]);
      expect(Object.keys(state)).toEqual(["w", "a", "b", "still"]);
      steps.dispose();
      await expect(steps.state()).rejects.toThrow("disposed of");
    });
    expect([...init.state.w!.data]).toEqual([1, 2, 3]); // the caller's stays
  });
});
