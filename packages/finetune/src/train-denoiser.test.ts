import "@tensorflow/tfjs-backend-cpu";
import { compiledExecutor } from "@dmae/compile";
import { createConvNet } from "@dmae/convnet";
import { createDnCNN, createUNet } from "@dmae/convnet/denoising";
import { key, normal } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { certify, denoised } from "@dmae/smoothing-certify";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { denoiserRecipe } from "./build-recipe.ts";
import type { DenoiserRecipe } from "./denoiser-recipe.ts";
import { hostDenoiser } from "./host-denoiser.ts";
import { trainDenoiser } from "./train-denoiser.ts";

const scratch = temporaryFolders("denoiser");
const data = synthetic({ key: key(1), imageShape: [16, 16, 1], numClasses: 3, length: 32 });
const shared = {
  ...{ sigma: 0.5, epochs: 30, warmupEpochs: 1, batchSize: 8, accumulate: 1 },
  ...{ baseLearningRate: 0.1, minLearningRate: 0, weightDecay: 1e-4, beta1: 0.9, beta2: 0.999 },
  augmentation: null,
} as const;
const dncnn: DenoiserRecipe = {
  ...shared,
  denoiser: createDnCNN({ channels: 1, depth: 3, width: 8 }),
  objective: "denoising",
};
const unet: DenoiserRecipe = {
  ...shared,
  denoiser: createUNet({ channels: 1, width: 8, levels: 2 }),
  objective: "diffusion",
};
const executor = () => compiledExecutor({ kernels: "standard" });

beforeAll(() => selectBackend("cpu"));

/** Mean squared distance of noisy and of denoised images from the clean ones. */
async function errors(denoise: (batch: Float32Array, shape: number[]) => Promise<Float32Array>) {
  const images = await Promise.all([0, 1, 2, 3, 4].map((i) => data.get(i)));
  const clean = Float32Array.from(images.flatMap(({ image }) => [...image]));
  const noise = normal(key("noise"), clean.length);
  const noisy = clean.map((value, i) => value + 0.5 * noise[i]!);
  const result = await denoise(noisy, [5, 16, 16, 1]);
  const distance = (to: Float32Array) =>
    to.reduce((sum, value, i) => sum + (value - clean[i]!) ** 2, 0) / clean.length;
  return { before: distance(noisy), after: distance(result) };
}

describe.each([
  ["DnCNN", dncnn],
  ["a U-Net", unet],
])("%s", (_, recipe) => {
  it("learns to denoise: less than half of the error is left, batch by batch", async () => {
    const own = executor();
    const trained = await trainDenoiser(recipe, data, { seed: 0, executor: own });
    const prepare = vi.spyOn(own, "prepareFunction");
    const use = { batchSize: 3, executor: undefined }; // 5 images: two batches, the second padded
    const denoise = trained.denoiser(use);
    const { before, after } = await errors(denoise);
    expect(prepare).toHaveBeenCalledOnce();
    expect(before).toBeGreaterThan(0.2);
    expect(after).toBeLessThan(before / 2);
    const images = new Float32Array(3 * 32 * 32);
    for (const shape of [
      [3, 32, 32, 1], // 12 images of 16 x 16 pixels, which would be denoised together
      [12, 1, 16, 16],
      [11, 16, 16, 1],
    ])
      await expect(denoise(images, shape)).rejects.toMatchObject({
        code: "shape",
        message: `denoiser: the batch must be [n, 16, 16, 1], as in training, got [${shape.join(", ")}] and 3072 numbers`,
      });
    await denoise.dispose();
  });

  it("trains compiled as eagerly, and goes on where it was", async () => {
    const short = { ...recipe, epochs: 2, batchSize: 4 };
    const few = synthetic({ key: key(2), imageShape: [4, 4, 1], numClasses: 3, length: 8 });
    const eager = await trainDenoiser(short, few, { seed: 3, executor: eagerExecutor() });
    const folder = scratch();
    const stop = new AbortController();
    const first = trainDenoiser(short, few, {
      ...{ seed: 3, executor: executor(), folder, signal: stop.signal },
      onProgress: ({ step }) => step === 2 && stop.abort(new Error("enough")),
    });
    await expect(first).rejects.toThrow("enough");
    const { params, resumedFrom } = await trainDenoiser(short, few, {
      ...{ seed: 3, executor: executor(), folder },
    });
    expect(resumedFrom).toBe(2);
    for (const [name, { data: values }] of Object.entries(eager.params))
      expectClose(params[name]!.data, values, { absolute: 2e-4 });
  });
});

it("a denoiser's fingerprint covers weights, sigma and schedule", () => {
  const fingerprint = (recipe: DenoiserRecipe, seed: number, change: object = {}) => {
    const params = recipe.denoiser.initHost(key(seed));
    return hostDenoiser({ ...recipe, ...change }, params, [16, 16, 1]).fingerprint;
  };
  const made = [
    ...[fingerprint(dncnn, 0), fingerprint(dncnn, 1), fingerprint(dncnn, 0, { sigma: 1 })],
    ...[fingerprint(unet, 0), fingerprint(unet, 1), fingerprint(unet, 0, { sigma: 1 })],
    fingerprint(unet, 0, { schedule: "linear" }),
  ];
  expect(new Set(made).size).toBe(made.length);
  expect(fingerprint(unet, 0, { schedule: "cosine" })).toBe(fingerprint(unet, 0));
});

it("a recipe has defaults; a U-Net takes away other noise than its recipe's, a DnCNN does not", async () => {
  const options = { seed: 0, executor: eagerExecutor() };
  const few = synthetic({ key: key(2), imageShape: [8, 8, 1], numClasses: 3, length: 4 });
  const small = createUNet({ channels: 1, width: 8, levels: 2 });
  const recipe = denoiserRecipe({ denoiser: small, sigma: 0.5, epochs: 1 });
  const trained = await trainDenoiser(recipe, few, options);
  const batch = Float32Array.from({ length: 64 }, (_, i) => (i % 7) / 7);
  const at = async (sigma: number) => {
    const own = hostDenoiser({ ...unet, denoiser: small, sigma }, trained.params, [8, 8, 1], {
      executor: options.executor,
    });
    const denoise = trained.denoiser({ sigma });
    expect(denoise.fingerprint).toBe(own.fingerprint);
    const [ours, theirs] = [await denoise(batch, [1, 8, 8, 1]), await own(batch, [1, 8, 8, 1])];
    expect(ours).toEqual(theirs);
    return ours;
  };
  expect(await at(1)).not.toEqual(await at(0.5));
  expect(() => trained.denoiser({ sigma: 1e5 })).toThrow("sigma must not exceed the noise");
  expect(() => trained.denoiser({ batchSize: 0 })).toThrow("batchSize must be a positive integer");
  const other = await trainDenoiser(
    denoiserRecipe({ denoiser: createDnCNN({ channels: 1, depth: 3, width: 4 }), epochs: 1 }),
    ...([few, options] as const),
  );
  expect(() => other.denoiser({ sigma: 0.5 })).toThrow(
    "denoiser: sigma of a DnCNN must be that of its training, 0.25, got 0.5",
  );
});

it("stability: the classifier stays as it is and the composition is certified", async () => {
  const model = createConvNet("lenet", { inputSize: 16, numClasses: 3 });
  const classifier = { model, params: model.initHost(key(5)) };
  const recipe: DenoiserRecipe = { ...dncnn, objective: "stability", epochs: 2 };
  const trained = await trainDenoiser(recipe, data, {
    ...{ seed: 0, executor: executor(), classifier },
  });
  expect(Object.keys(trained.params)).toEqual(Object.keys(dncnn.denoiser.shapes));
  expect(Number.isFinite(trained.metrics.loss)).toBe(true);
  const denoise = trained.denoiser({ batchSize: 16 });
  const { image } = await data.get(0);
  const predict = (batch: Float32Array, [n = 0]: number[]) =>
    Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? batch[(i >> 1) * 256]! : 0.4));
  const options = { sigma: 0.5, n0: 10, n: 50, seed: 0, numClasses: 2, shape: [16, 16, 1] };
  const first = await certify(denoised(denoise, predict), image, options);
  expect(first).toEqual(await certify(denoised(denoise, predict), image, options));
  await denoise.dispose();
});

it("names what does not fit", async () => {
  const run = (change: object, options = {}) =>
    trainDenoiser({ ...dncnn, ...change }, data, options);
  await expect(run({ objective: "diffusion" })).rejects.toThrow(
    'trainDenoiser: denoiser must be a U-Net for "diffusion" and a DnCNN otherwise, got "diffusion"',
  );
  await expect(run({ objective: "stability" })).rejects.toThrow(
    'the objective "stability" needs the option classifier, { model, params }, got undefined',
  );
  await expect(run({ denoiser: undefined })).rejects.toThrow(
    "createDnCNN or createUNet returns, got",
  );
  await expect(run({ batchSize: 0 })).rejects.toThrow(
    "batchSize must be a positive integer, got 0",
  );
  await expect(run({ schedule: "sqrt" })).rejects.toThrow('schedule must be "cosine" or "linear"');
  await expect(run({ schedule: "linear" })).rejects.toThrow(
    'schedule goes with the objective "diffusion" alone, got "denoising"',
  );
  await expect(run({}, { onEvaluation: () => {} })).rejects.toThrow(
    'trainDenoiser: unknown option "onEvaluation"',
  );
  await expect(run({ sigma: 0 })).rejects.toThrow("sigma must be positive, got 0");
  await expect(run({ objective: "l1" })).rejects.toThrow('objective must be "denoising"');
  const lenet = createConvNet("lenet");
  await expect(run({ denoiser: lenet })).rejects.toThrow("createDnCNN or createUNet returns, got");
  await expect(run({}, { classifier: { model: lenet, params: {} } })).rejects.toThrow(
    'the option classifier goes with the objective "stability" alone, got "denoising"',
  );
  await expect(trainDenoiser({ ...unet, sigma: 1e5 }, data)).rejects.toThrow(
    "sigma must not exceed the noise of the last step, got 100000",
  );
});
