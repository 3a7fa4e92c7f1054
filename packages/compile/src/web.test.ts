import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-web"; // runs in Node, too; in a browser: npm run test:browser
import { expect, it } from "vitest";
import { compile } from "./compile.ts";
import { compileStep } from "./compile-step.ts";

const web = { provider: "wasm", onnxruntime: ort } as const;
const vector = (...values: number[]) =>
  ({ dtype: "float32", shape: [2], data: Float32Array.from(values) }) as const;

it("onnxruntime-web runs functions", async () => {
  const program = await compile(({ x }) => tf.square(x), { x: { shape: [2] } }, web);
  expect([...(await program({ x: vector(2, 3) })).data]).toEqual([4, 9]);
  program.dispose();
});

it("onnxruntime-web runs steps, and the state goes on, in a buffer of its own or shared", async () => {
  const step = await compileStep(
    ({ w, v }, { x }) => ({
      state: { w: tf.add(w!, x!), v: tf.sub(v!, w!) },
      metrics: { sum: tf.sum(w!) },
    }),
    { state: { w: vector(1, 2), v: vector(0, 0) }, batch: { x: { shape: [2] } } },
    web,
  );
  expect(await step({ x: vector(10, 20) })).toEqual({ sum: 3 });
  expect(await step({ x: vector(10, 20) })).toEqual({ sum: 33 });
  const { w, v } = await step.state();
  expect([...w!.data, ...v!.data]).toEqual([21, 42, -12, -24]);
  step.dispose();
});
