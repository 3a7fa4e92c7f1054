import "@tensorflow/tfjs-backend-cpu";
import { exportOnnx } from "@dmae/compile";
import { key, normal } from "@dmae/core";
import { selectBackend } from "@dmae/nn";
import { certify, denoised } from "@dmae/smoothing-certify";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import {
  diffusionSchedule,
  diffusionStep,
  oneShotDenoise,
  oneShotDenoiser,
  onnxNoisePredictor,
} from "./denoising.ts";

beforeAll(() => selectBackend("cpu"));

const schedule = diffusionSchedule("cosine");
const shape = [2, 4, 4, 3];
const clean = Float32Array.from({ length: 96 }, (_, i) => ((i * 37) % 90) / 100);
const noise = normal(key("noise"), 96);

test("what the tensor function makes of the same image, to the little that t* is above sigma", async () => {
  const sigma = 0.5;
  const noisy = clean.map((value, i) => value + sigma * noise[i]!);
  const denoise = oneShotDenoiser({
    ...{ schedule, sigma },
    predict: (x, given, time) => {
      expect(given).toEqual(shape);
      expect(time).toBe(496); // t* 1984 of 4000, scaled to 1000
      return x.map((value) => 0.4 * value);
    },
  });
  const expected = tf.tidy(() => {
    const predict = (x: tf.Tensor) => tf.mul(x, 0.4);
    const images = tf.tensor(clean, shape);
    const y = oneShotDenoise(images, tf.tensor(noise, shape), { schedule, sigma, predict });
    return tf.div(tf.add(y, 1), 2).dataSync();
  });
  // The official noise is 0.50031 / 0.5 as large; an image takes sqrt(1/alphaBar) (1 - 0.4 sqrt(1 - alphaBar)) of it, at most 3 sigma.
  expectClose(await denoise(noisy, shape), expected, { absolute: 3.5 * 0.00032 });
});

test("a linear predictor makes a linear denoiser: certify counts as for the classifier that it amounts to", async () => {
  const sigma = 0.25;
  const alphaBar = schedule.alphaBars[diffusionStep(schedule, sigma)]!;
  // x_0 = x_t (1 / sqrt(a) - 0.3 sqrt(1 / a - 1)), x_t = sqrt(a) (2 y - 1): the sign of 2 y - 1 stays, and so do the votes.
  const factor = 1 - 0.3 * Math.sqrt(1 - alphaBar);
  expect(factor).toBeGreaterThan(0);
  const classify = (batch: Float32Array, [n = 0]: number[]) =>
    Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? 2 * batch[i >> 1]! - 1 : 0));
  const denoise = oneShotDenoiser({ schedule, sigma, predict: (x) => x.map((v) => 0.3 * v) });
  const options = { seed: 0, sigma, n0: 10, n: 500, numClasses: 2, shape: [1, 1, 1] };
  const direct = await certify(classify, [0.7], options);
  expect(direct.radius).toBeGreaterThan(0.1);
  expect(await certify(denoised(denoise, classify), [0.7], options)).toEqual(direct);
});

test("a predictor that knows the noise gives the image back, clipped", async () => {
  const sigma = 1;
  const alphaBar = schedule.alphaBars[diffusionStep(schedule, sigma)]!;
  const predict = (x: Float32Array) =>
    x.map((value, i) => {
      const image = Math.sqrt(alphaBar) * (2 * clean[i]! - 1);
      return (value - image) / Math.sqrt(1 - alphaBar);
    });
  const denoise = oneShotDenoiser({ schedule, sigma, predict });
  const noisy = clean.map((value, i) => value + sigma * noise[i]!);
  expectClose(await denoise(noisy, shape), clean, { absolute: 2e-6 });
  const wild = oneShotDenoiser({ schedule, sigma, predict: (x) => x.map(() => 10) });
  expect(await wild(noisy, shape)).toEqual(new Float32Array(96)); // -1 in the model's range
});

test.each(["NCHW", "NHWC"] as const)(
  "an .onnx file predicts, %s, its variance left out",
  async (layout) => {
    // Six channels: the noise is 0.5 x of the channel plus time / 1000, the other three are to be left out.
    const fn = ({ x, t }: Record<string, tf.Tensor>) => {
      const images = layout === "NCHW" ? tf.transpose(x!, [0, 2, 3, 1]) : x!;
      const time = tf.reshape(tf.div(t!, 1000), [-1, 1, 1, 1]);
      const both = tf.concat([tf.add(tf.mul(images, 0.5), time), tf.mul(images, 99)], 3);
      return { noise: layout === "NCHW" ? tf.transpose(both, [0, 3, 1, 2]) : both };
    };
    const own = layout === "NCHW" ? [2, 3, 4, 4] : shape;
    const bytes = exportOnnx({ fn, specs: { x: own, t: [2] } });
    const session = await ort.InferenceSession.create(bytes);
    const predict = onnxNoisePredictor(session, ort.Tensor, { layout });
    const sigma = 0.25;
    const noisy = clean.map((value, i) => value + sigma * noise[i]!);
    const fromFile = await oneShotDenoiser({ schedule, sigma, predict })(noisy, shape);
    const byHand = await oneShotDenoiser({
      ...{ schedule, sigma },
      predict: (x, _, time) => x.map((value) => 0.5 * value + time / 1000),
    })(noisy, shape);
    expectClose(fromFile, byHand, { absolute: 1e-6 });
    await session.release();
  },
);

test("times can be integers", async () => {
  const feeds: Record<string, { type: string; data: ArrayLike<unknown> }>[] = [];
  const session = {
    inputNames: ["x", "timesteps"],
    outputNames: ["noise"],
    run: async (given: Record<string, { type: string; data: Float32Array }>) => {
      feeds.push(given);
      return { noise: { data: given.x!.data, dims: [2, 3, 4, 4] } };
    },
  };
  const predict = onnxNoisePredictor(session as never, ort.Tensor, { timeType: "int64" });
  expect(Array.from(await predict(clean, shape, 289.5))).toEqual([...clean]); // to NCHW and back
  expect(feeds[0]!.timesteps!.type).toBe("int64");
  expect(Array.from(feeds[0]!.timesteps!.data)).toEqual([290n, 290n]);
});

test("noise of another size than the images is refused, with as many numbers, too", async () => {
  const run = async () => ({ e: { data: clean, dims: [2, 3, 2, 8] } });
  const session = { inputNames: ["x", "t"], outputNames: ["e"], run };
  await expect(onnxNoisePredictor(session, ort.Tensor)(clean, shape, 1)).rejects.toThrow(
    "onnxNoisePredictor: the noise must be NCHW and of the images' size, [2,3,4,4], got [2,3,2,8]",
  );
});

test("the fingerprint covers the predictor, its times and the step", () => {
  const session = { inputNames: ["x", "t"], outputNames: ["e"], run: async () => ({}) };
  const onnx = (options: object) => onnxNoisePredictor(session, ort.Tensor, options);
  const named = (fingerprint: string) =>
    Object.assign((x: Float32Array) => x, { fingerprint: `params ${fingerprint}` });
  const half = (x: Float32Array) => x.map((v) => v / 2);
  const third = (x: Float32Array) => x.map((v) => v / 3);
  const predictors = [
    ...[half, third, named("a"), named("b")],
    ...[onnx({}), onnx({ fingerprint: "a" }), onnx({ fingerprint: "b" })],
    ...[onnx({ layout: "NHWC" }), onnx({ timeType: "int64" })],
  ];
  const made = [
    ...predictors.map((predict) => ({ schedule, sigma: 0.5, predict })),
    { schedule, sigma: 0.25, predict: named("a") },
    { schedule: { ...schedule, timeScale: 1 }, sigma: 0.5, predict: named("a") },
    { schedule: diffusionSchedule("linear"), sigma: 0.5, predict: named("a") },
  ].map((options) => oneShotDenoiser(options).fingerprint);
  expect(new Set(made).size).toBe(made.length);
  const [, , again] = made;
  expect(oneShotDenoiser({ schedule, sigma: 0.5, predict: named("a") }).fingerprint).toBe(again);
});

test("what does not fit is refused by name", async () => {
  const bad = oneShotDenoiser({ schedule, sigma: 0.25, predict: (x) => x.slice(1) });
  await expect(bad(clean, shape)).rejects.toThrow(
    "oneShotDenoiser: predict must return [2,4,4, >= 3], got 95 numbers",
  );
  await expect(bad(clean, [2, 4, 4])).rejects.toThrow(
    "the batch must be [n, H, W, C], got [2,4,4] and 96 numbers",
  );
  const one = { inputNames: ["x"], outputNames: ["y"], run: async () => ({}) };
  expect(() => onnxNoisePredictor(one, ort.Tensor)).toThrow(
    "session must have two inputs, images and times, got x",
  );
});

test("refuses what is no schedule, sigma or predictor", () => {
  const good = {
    schedule: diffusionSchedule("linear"),
    sigma: 0.5,
    predict: (x: Float32Array) => x,
  };
  for (const schedule of [null, {}, "linear"])
    expect(() => oneShotDenoiser({ ...good, schedule } as never)).toThrow(
      "schedule must be one of",
    );
  for (const sigma of [0, -1, null, "0.5"])
    expect(() => oneShotDenoiser({ ...good, sigma } as never)).toThrow("sigma must be positive");
  for (const predict of [undefined, null, 5])
    expect(() => oneShotDenoiser({ ...good, predict } as never)).toThrow(
      "predict must be a function",
    );
  for (const steps of [0, 0.5, 1e300])
    expect(() => diffusionSchedule("linear", steps)).toThrow("steps must be a positive integer");
});
