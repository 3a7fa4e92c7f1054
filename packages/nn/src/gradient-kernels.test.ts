import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { key, normal } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { selectBackend, valueAndGradients } from "./index.ts";

/** The gradient of max pooling on a backend, after work that leaves other values in its memory. */
async function poolGradient(backend: "cpu" | "wasm", window: readonly number[], levels: number) {
  await selectBackend(backend);
  const [size, filter, stride, pad] = window as [number, number, number, number];
  return tf.tidy(() => {
    const shape: [number, number, number, number] = [2, size, size + 1, 3];
    const draws = normal(
      key("pool"),
      shape.reduce((a, b) => a * b, 1),
    );
    // Rounded to few levels: windows with several maxima.
    const x = tf.tensor4d(
      draws.map((v) => Math.round(v * levels) / levels),
      shape,
    );
    for (let i = 0; i < 4; i++) tf.fill(shape, 7).dispose();
    const { gradients } = valueAndGradients(
      ({ x }) => {
        const y = tf.maxPool(x as tf.Tensor4D, filter, stride, pad);
        const dy = tf.tensor(normal(key("dy"), y.size), y.shape);
        return { loss: tf.sum(tf.mul(y, dy)) };
      },
      { x },
    );
    return gradients.x!.dataSync().slice();
  });
}

describe("max pooling on wasm: the gradient of the cpu backend", () => {
  test.each([
    [[6, 2, 2, 0], 1e6],
    [[7, 2, 2, 0], 2],
    [[8, 3, 2, 1], 1e6],
    [[7, 3, 2, 1], 2],
    [[6, 3, 1, 1], 2],
    [[8, 2, 3, 0], 1],
  ] as const)("size, window, stride and padding %j, %d levels", async (window, levels) => {
    const expected = await poolGradient("cpu", window, levels);
    expect(expected.some((value) => value !== 0)).toBe(true);
    const actual = await poolGradient("wasm", window, levels);
    expectClose(actual, expected, { absolute: 1e-6 });
  });
});
