import "@tensorflow/tfjs-backend-cpu";
import { compiledExecutor } from "@dmae/compile";
import { key, uniform } from "@dmae/core";
import { disposeTensors, selectBackend, toTensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { createDmae } from "./dmae.ts";

beforeAll(() => selectBackend("cpu"));

const options = {
  ...{ width: 8, depth: 1, heads: 2, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 },
  ...{ imageSize: 8, patchSize: 4, channels: 2, sigma: 0.5 },
  ...{ mean: [0.25, 0.5], std: [0.5, 2] },
};
const dmae = createDmae(options);
const noisy = tf.tensor4d(uniform(key("images"), 2 * 8 * 8 * 2), [2, 8, 8, 2]);

test("predicted patches land in their places, in the units of the images", async () => {
  // Without weights every patch is the bias: pixel (row, column, channel) of a patch is 0.1 (8 row + 2 column + channel).
  const params = toTensors(dmae.initHost(key(0)));
  const bias = Float32Array.from({ length: 32 }, (_, i) => 0.1 * i);
  const fixed = {
    ...params,
    "decoder_pred.weight": tf.zerosLike(params["decoder_pred.weight"]!),
    "decoder_pred.bias": tf.tensor1d(bias),
  };
  const expected = Array.from({ length: 2 * 8 * 8 * 2 }, (_, i) => {
    const [row, column, channel] = [Math.floor(i / 16) % 8, Math.floor(i / 2) % 8, i % 2];
    const patch = 0.1 * (8 * (row % 4) + 2 * (column % 4) + channel);
    return options.mean[channel]! + options.std[channel]! * patch;
  });
  await expectNoLeak(() => {
    const denoised = dmae.denoise(fixed, noisy);
    expect(denoised.shape).toEqual([2, 8, 8, 2]);
    expectClose(denoised.dataSync(), expected, { absolute: 1e-5 });
    denoised.dispose();
  });
  disposeTensors(fixed);
});

test("an image is denoised as a pass without noise and masking predicts it, compiled too", async () => {
  const host = dmae.initHost(key(1));
  const params = toTensors(host);
  const ids = tf.tensor2d([0, 1, 2, 3, 0, 1, 2, 3], [2, 4], "int32");
  const pass = createDmae({ ...options, sigma: 0 }).apply(params, {
    ...{ images: noisy, noise: tf.zerosLike(noisy) },
    ...{ idsKeep: ids, idsRestore: ids, mask: tf.zeros([2, 4]) },
  });
  const denoised = dmae.denoise(params, noisy);
  // The first pixel of patch 3 of image 1 is the pixel (4, 4).
  const first = tf.slice(pass.prediction, [1, 3, 0], [1, 1, 2]).dataSync();
  const pixel = tf.slice(denoised, [1, 4, 4, 0], [1, 1, 1, 2]).dataSync();
  expectClose(pixel, [0.25 + 0.5 * first[0]!, 0.5 + 2 * first[1]!], { absolute: 1e-5 });
  const program = await compiledExecutor({ kernels: "standard" }).prepareFunction({
    fn: ({ images, ...rest }) => ({ denoised: dmae.denoise(rest, images!) }),
    specs: { images: { shape: [2, 8, 8, 2] } },
    constants: host,
  });
  const { denoised: compiled } = await program({ images: noisy.dataSync() as Float32Array });
  expectClose(compiled.data as Float32Array, denoised.dataSync(), { absolute: 1e-5 });
  program.dispose();
});

test("images that the model resizes come back at their own size", () => {
  const resizing = createDmae({ ...options, inputSize: 4 });
  const small = tf.zeros([1, 4, 4, 2]);
  expect(resizing.denoise(resizing.init(key(0)), small).shape).toEqual([1, 4, 4, 2]);
});
