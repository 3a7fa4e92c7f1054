import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { compile } from "../index.ts";

const filled = (shape: number[], value: number): HostTensor => ({
  dtype: "float32",
  shape,
  data: new Float32Array(shape.reduce((n, d) => n * d, 1)).fill(value),
});

it("leaves factors where they keep numbers within the range of float32", async () => {
  const program = await compile(
    ({ x, w }) => ({
      sides: tf.matMul(tf.mul(x, 1e-30), tf.mul(w, 1e-30)),
      result: tf.mul(tf.matMul(tf.mul(x, 1e-30), w), 1e-30),
      small: tf.matMul(tf.mul(x, 0.5), tf.mul(w, 1e-35)),
    }),
    { x: { shape: [4, 5] }, w: { shape: [5, 6] } },
  );
  const results = await program.call({ x: filled([4, 5], 1e35), w: filled([5, 6], 1e3) });
  program.dispose();
  const largest = (name: keyof typeof results) => Math.max(...(results[name].data as Float32Array));
  expect(largest("sides")).toBeCloseTo(5e-22, 26);
  expect(largest("result")).toBeCloseTo(5e-22, 26);
  expect(largest("small")).toBeCloseTo(2500, 0);
});
