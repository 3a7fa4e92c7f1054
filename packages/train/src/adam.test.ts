import "@tensorflow/tfjs-backend-cpu";
import { disposeTensors, selectBackend } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { adam } from "./adam.ts";

beforeAll(() => selectBackend("cpu"));

// Two steps of `torch.optim.Adam` by hand; packages/convnet/src/denoiser-training.test.ts has the official run of a denoiser.
test("decay goes through the moments, not past them", async () => {
  const optimizer = adam({ weightDecay: 0.1 });
  const rate = 0.01;
  let [p, m, v] = [1, 0, 0];
  const expected = [0.5, 0].map((gradient, i) => {
    const g = gradient + 0.1 * p;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    const t = i + 1;
    p -= (rate * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8);
    return p;
  });
  await expectNoLeak(() => {
    const start = { w: tf.tensor1d([1]) };
    let params: Record<string, tf.Tensor> = start;
    let state: Record<string, tf.Tensor> = Object.fromEntries(
      Object.keys(
        optimizer.init({ w: { dtype: "float32", shape: [1], data: Float32Array.of(1) } }),
      ).map((name) => [name, tf.zeros([1])]),
    );
    const values = [0.5, 0].map((gradient, i) => {
      const scalars = Object.fromEntries(
        Object.entries(optimizer.scalars(i, rate)).map(([name, value]) => [name, tf.scalar(value)]),
      );
      const gradients = { w: tf.tensor1d([gradient]) };
      tf.engine().startScope();
      const next = optimizer.update(gradients, state, params, scalars);
      const [w, ...moments] = [next.params.w!, ...Object.values(next.state)].map((t) => tf.keep(t));
      tf.engine().endScope();
      [params, state, scalars, gradients].forEach(disposeTensors);
      params = { w: w! };
      state = Object.fromEntries(Object.keys(next.state).map((name, j) => [name, moments[j]!]));
      return w!.dataSync()[0]!;
    });
    [params, state].forEach(disposeTensors);
    expectClose(values, expected, { relative: 1e-6 });
  });
  expect(() => adam({ weightDecay: -1 })).toThrow("adam: weightDecay");
});
