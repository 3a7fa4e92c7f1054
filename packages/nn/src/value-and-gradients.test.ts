import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { disposeTensors, selectBackend, valueAndGradients } from "./index.ts";
import { gelu, linear } from "./layers.ts";

describe.each(["cpu", "wasm"])("valueAndGradients on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  test("value, aux and gradients by hand; the caller owns exactly those", async () => {
    const params = { a: tf.tensor1d([1, 2]), b: tf.scalar(3) };
    await expectNoLeak(() => {
      const { loss, aux, gradients } = valueAndGradients(({ a, b }) => {
        const product = tf.mul(tf.square(a!), b!);
        return { loss: tf.sum(product), aux: { product, a: a! } };
      }, params);
      expectClose(loss.dataSync(), [15]);
      expectClose(aux.product!.dataSync(), [3, 12]);
      expectClose(gradients.a!.dataSync(), [6, 12]);
      expectClose(gradients.b!.dataSync(), [5]);
      aux.a!.dispose();
      expect(params.a.isDisposed).toBe(false);
      tf.dispose([loss, aux, gradients]);
    });
    disposeTensors(params);
  });

  test("inside a tidy nothing escapes it", async () => {
    const x = tf.tensor1d([1, 2]);
    await expectNoLeak(() => {
      tf.tidy(() => {
        valueAndGradients(({ x }) => ({ loss: tf.sum(x!), aux: { y: tf.square(x!) } }), { x });
      });
    });
    x.dispose();
  });

  test("a parameter used twice gets the sum, one used through a branch that is dropped gets zero", () => {
    tf.tidy(() => {
      const { gradients } = valueAndGradients(
        ({ x }) => ({ loss: tf.add(tf.mul(x!, x!), tf.mul(tf.mul(x!, 5), 0)) }),
        { x: tf.scalar(4) },
      );
      expectClose(gradients.x!.dataSync(), [8]);
    });
  });

  test("errors: parameters without effect, a loss that is no scalar; neither leaks", async () => {
    const params = { used: tf.scalar(1), idle: tf.scalar(2), unused: tf.ones([2]) };
    await expectNoLeak(() => {
      const run = () => valueAndGradients(({ used }) => ({ loss: tf.square(used!) }), params);
      expect(run).toThrow(/does not depend on idle, unused; leave them out/);
      const vector = () => valueAndGradients(({ unused }) => ({ loss: unused! }), params);
      expect(vector).toThrow(/loss must be a scalar, got shape \[2\]/);
    });
    disposeTensors(params);
  });
});

/** The most buffers alive at the end of any kernel during `run`, beyond those before it. */
function peakBuffers(run: () => void): number {
  const engine = tf.engine();
  const { runKernel } = engine;
  const before = tf.memory().numDataBuffers;
  let peak = 0;
  engine.runKernel = ((...args: Parameters<typeof runKernel>) => {
    const result = runKernel.apply(engine, args);
    peak = Math.max(peak, tf.memory().numDataBuffers - before);
    return result;
  }) as typeof runKernel;
  try {
    tf.tidy(run);
  } finally {
    engine.runKernel = runKernel;
  }
  return peak;
}

test("activations and gradients go once used: two buffers a layer, where tf.valueAndGrad keeps more", async () => {
  await selectBackend("cpu");
  const x = tf.fill([64, 16], 0.5);
  const weight = tf.fill([16, 16], 0.1);
  const model = (w: tf.Tensor, layers: number) => {
    let y: tf.Tensor = x;
    for (let i = 0; i < layers; i++) y = gelu(linear(y, w));
    return tf.sum(y) as tf.Scalar;
  };
  const ours = (layers: number) =>
    peakBuffers(() => {
      valueAndGradients(({ w }) => ({ loss: model(w!, layers) }), { w: weight });
    });
  const theirs = (layers: number) =>
    peakBuffers(() => {
      tf.valueAndGrad((w: tf.Tensor) => model(w, layers))(weight);
    });
  expect(ours(16) - ours(8)).toBe(2 * 8); // the inputs of linear and of gelu
  expect(theirs(16) - theirs(8)).toBeGreaterThanOrEqual(4 * 8);
  tf.dispose([x, weight]);
});
