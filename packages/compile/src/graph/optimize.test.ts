import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import { normalize } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { compile } from "../index.ts";
import { trace } from "../tracing/trace.ts";
import { liveNodes } from "./graph.ts";
import { optimize, type Program } from "./optimize.ts";

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
  const results = await program({ x: filled([4, 5], 1e35), w: filled([5, 6], 1e3) });
  program.dispose();
  const largest = (name: keyof typeof results) => Math.max(...(results[name].data as Float32Array));
  expect(largest("sides")).toBeCloseTo(5e-22, 26);
  expect(largest("result")).toBeCloseTo(5e-22, 26);
  expect(largest("small")).toBeCloseTo(2500, 0);
});

it("leaves transposing large constants to ONNX Runtime, but not to readers of files", async () => {
  const filters: HostTensor = {
    dtype: "float32",
    shape: [3, 3, 64, 128],
    data: Float32Array.from({ length: 9 * 64 * 128 }, (_, i) => Math.sin(i)),
  };
  const x: HostTensor = {
    dtype: "float32",
    shape: [1, 5, 5, 64],
    data: Float32Array.from({ length: 25 * 64 }, (_, i) => Math.cos(i)),
  };
  const fn = ({ x, filters }: Record<string, tf.Tensor>) =>
    tf.conv2d(x as tf.Tensor4D, filters as tf.Tensor4D, 1, "same");
  const specs = { x: { shape: x.shape } };
  const traced = trace("test", (tensors) => ({ y: fn(tensors) }), specs, { filters });
  const transposed = ({ graph, outputs }: Program) =>
    liveNodes(graph, outputs).filter((n) => n.op === "Transpose" && n.inputs[0]!.constant).length;
  expect(transposed(optimize(traced))).toBe(1);
  expect(transposed(optimize(traced, { transposeAll: true }))).toBe(0);
  const program = await compile({ fn, specs, constants: { filters } });
  const { data } = await program({ x });
  program.dispose();
  await tf.setBackend("cpu");
  const eager = tf.tidy(() => {
    const [a, b] = [x, filters].map(({ data, shape }) => tf.tensor(data, [...shape]));
    return fn({ x: a!, filters: b! }).dataSync();
  });
  expectClose(data as Float32Array, eager, { absolute: 1e-4 });
});

it("normalises the channels of whole rows of pixels at a time", async () => {
  for (const channels of [1, 3]) {
    const [mean, std] = [[0.3, 0.4, 0.5].slice(0, channels), [0.2, 0.3, 0.4].slice(0, channels)];
    const fn = ({ x }: Record<string, tf.Tensor>) => {
      const small = tf.sub(tf.slice(x!, [0, 0, 0, 0], [1, 2, 3, channels]), tf.tensor1d(mean));
      return { y: normalize(x!, mean, std), small };
    };
    const x = filled([8, 24, 32, channels], 0.75);
    const { graph, outputs } = optimize(trace("test", fn, { x: { shape: x.shape } }));
    const shapes = liveNodes(graph, outputs).flatMap(({ op, outputs }) =>
      op === "Sub" || op === "Div" ? [outputs[0]!.shape.join()] : [],
    );
    expect(shapes.sort()).toEqual([`1,2,3,${channels}`, ...Array(2).fill(`8,24,${32 * channels}`)]);
    const program = await compile(fn, { x: { shape: x.shape } });
    const { y } = await program({ x });
    program.dispose();
    await tf.setBackend("cpu");
    const eager = tf.tidy(() =>
      normalize(tf.tensor(x.data as Float32Array, [...x.shape]), mean, std).dataSync(),
    );
    expect(y.data).toEqual(eager);
  }
});
