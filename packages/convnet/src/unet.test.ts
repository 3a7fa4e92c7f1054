import { readFileSync } from "node:fs";
import "@tensorflow/tfjs-backend-cpu";
import { compiledExecutor } from "@dmae/compile";
import { key } from "@dmae/core";
import {
  disposeTensors,
  eagerExecutor,
  selectBackend,
  type Tensors,
  valueAndGradients,
} from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { createUNet } from "./denoising.ts";

beforeAll(() => selectBackend("cpu"));

// Of testing/reference/unet.py, which says how parameters and images are made.
const recorded = JSON.parse(
  readFileSync(new URL("./__fixtures__/unet.json", import.meta.url), "utf8"),
) as {
  names: string[];
  output: number[];
  gradients: Record<string, [norm: number, projection: number]>;
};
const unet = createUNet({ channels: 2, width: 8, levels: 2 });
const waves = (length: number, factor: number, shift: number, size: number) =>
  Float32Array.from({ length }, (_, i) => size * Math.sin(factor * i + shift));
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

test.each([
  ["eager", () => eagerExecutor()],
  ["compiled", () => compiledExecutor({ kernels: "standard" })],
])("output and gradients are PyTorch's, %s", async (_, makeExecutor) => {
  expect(Object.keys(unet.shapes)).toEqual(recorded.names);
  const params = Object.fromEntries(
    Object.entries(unet.shapes).map(([name, shape], k) => [
      name,
      { dtype: "float32" as const, shape, data: waves(sizeOf(shape), 0.7, k, 0.3) },
    ]),
  );
  const images = { dtype: "float32" as const, shape: [2, 4, 4, 2], data: waves(64, 0.3, 0, 0.5) };
  const time = { dtype: "float32" as const, shape: [2], data: Float32Array.of(3, 250.5) };
  const weights = tf.tensor(
    Float32Array.from({ length: 64 }, (_, i) => Math.cos(i)),
    [2, 4, 4, 2],
  );
  const inputs = { ...params, images, time };
  const program = await makeExecutor().prepareFunction({
    fn: ({ images, time, ...rest }: Tensors) => {
      const { gradients, aux } = valueAndGradients((p) => {
        const output = unet.predict(p, images!, time!);
        return { loss: tf.sum(tf.mul(output, weights)), aux: { output } };
      }, rest);
      return { ...gradients, "the output": aux.output! };
    },
    specs: Object.fromEntries(Object.entries(inputs).map(([n, { shape }]) => [n, { shape }])),
  });
  const results = (await program(inputs)) as Record<string, { data: Float32Array }>;
  const largest = Math.max(...recorded.output.map(Math.abs));
  expectClose(results["the output"]!.data, recorded.output, { absolute: 3e-6 * largest });
  for (const [name, [norm, projection]] of Object.entries(recorded.gradients)) {
    const own = Array.from(results[name]!.data);
    const length = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0));
    const along = own.reduce((sum, value, i) => sum + value * Math.cos(i), 0);
    expectClose([length, along], [norm, projection], { absolute: 2e-5 * norm + 1e-6 });
  }
  program.dispose();
  weights.dispose();
});

test("a fresh U-Net predicts no noise, and keeps nothing", async () => {
  const params = unet.init(key(0));
  const images = tf.randomUniform([1, 6, 4, 2], -1, 1, "float32", 1);
  const time = tf.tensor1d([5]);
  await expectNoLeak(() => {
    const noise = unet.predict(params, images, time);
    expect(noise.dataSync()).toEqual(new Float32Array(48));
    noise.dispose();
  });
  expect(() => unet.predict(params, tf.zeros([1, 5, 4, 2]), time)).toThrow(
    "predict: images must be [B, H, W, 2] with sides that are multiples of 2, got [1,5,4,2]",
  );
  expect(() => unet.predict(params, images, tf.zeros([2]))).toThrow("time must be [1], got [2]");
  expect(() => createUNet({ levels: 13 })).toThrow("levels must be at most 12, got 13");
  expect(() => createUNet({ width: 12 })).toThrow("width must be a multiple of 8, got 12");
  disposeTensors(params);
  tf.dispose([images, time]);
});
