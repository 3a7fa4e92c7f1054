import "@tensorflow/tfjs-backend-cpu";
import { readFileSync } from "node:fs";
import type { MethodSettings } from "@dmae/certified-training";
import { compiledExecutor } from "@dmae/compile";
import { foldIn, type HostTensor, type HostTensors, key } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { eagerExecutor, type Model, selectBackend } from "@dmae/nn";
import { linear, normalInit, ones, zeros } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { finetuneRecipe } from "./build-recipe.ts";
import type { FinetuneRecipe } from "./recipe.ts";
import { finetuneRecipes } from "./recipes.ts";
import { robustFinetune } from "./robust-finetune.ts";
import { prepareClassifier } from "./trained-classifier.ts";

const scratch = temporaryFolders("methods");
const data = synthetic({ key: key(1), imageShape: [8, 8, 1], numClasses: 3, length: 32 });

/** A classifier with batch normalisation of one feature, the mean of the image: `buffers` change with every pass. */
const own: Model = {
  config: { name: "normalised linear" },
  imageShape: [8, 8, 1],
  numClasses: 3,
  buffers: ["bn.running_mean"],
  initHost: (k) => ({
    "bn.running_mean": zeros([64]),
    "bn.weight": ones([64]),
    "fc.weight": normalInit(k, [3, 64], 0.1),
  }),
  apply(params, images, { training = false } = {}) {
    const x = tf.reshape(images, [-1, 64]);
    const mean = tf.mean(x, 0);
    const old = params["bn.running_mean"]!;
    const centred = tf.mul(tf.sub(x, training ? mean : old), params["bn.weight"]!);
    const logits = linear(centred, params["fc.weight"]!);
    const next = tf.add(tf.mul(old, 0.9), tf.mul(mean, 0.1));
    return training ? { logits, updates: { "bn.running_mean": next } } : { logits };
  },
};

const vit = { width: 8, depth: 1, heads: 2, imageSize: 8, patchSize: 4, channels: 1 } as const;
const shared: Omit<FinetuneRecipe, "model" | "method"> = {
  ...finetuneRecipes["dmae-vit-b-cifar10-cr-0.25"],
  epochs: 1,
  warmupEpochs: 0,
  batchSize: 8,
  accumulate: 1,
  augmentation: null,
};
const vitRecipe: Omit<FinetuneRecipe, "method"> = {
  ...shared,
  model: { ...vit, numClasses: 3, mean: [0.5], std: [0.25] },
  dropPath: 0.2,
};
const ownRecipe: Omit<FinetuneRecipe<Model>, "method"> = {
  ...shared,
  model: own,
  dropPath: 0,
  layerDecay: 1,
  sgd: { learningRate: 0.05, momentum: 0.9, weightDecay: 1e-4, stepSize: 30, gamma: 0.1 },
  emaDecay: 0.5,
};

const attack = { copies: 2, steps: 2, epsilon: 0.5 };
const methods: Record<string, MethodSettings> = {
  gaussian: { name: "gaussian" },
  stability: { name: "stability", lambda: 2 },
  smoothAdv: { name: "smoothAdv", ...attack, warmupEpochs: 1 },
  ddn: { name: "smoothAdv", ...attack, warmupEpochs: 1, attack: "ddn" },
  macer: { name: "macer", copies: 4, lambda: 2, beta: 4, margin: 8 },
  consistency: { name: "consistency", copies: 2, lambda: 5 },
  smoothMix: {
    name: "smoothMix",
    copies: 2,
    steps: 2,
    alpha: 0.5,
    mixStep: 1,
    eta: 2,
    warmupEpochs: 1,
  },
  catRs: { name: "catRs", ...attack, lambda: 1 },
};
const softLabels: HostTensor = {
  dtype: "float32",
  shape: [32, 3],
  data: Float32Array.from({ length: 96 }, (_, i) => [0.7, 0.3, 0][(i + Math.floor(i / 3)) % 3]!),
};

beforeAll(() => selectBackend("cpu"));

describe.each(Object.entries(methods))("%s", (_, method) => {
  const own = method.name === "catRs" ? { softLabels } : {};
  it("trains a model with running statistics by SGD, compiled as eagerly", async () => {
    const run = (executor = eagerExecutor()) =>
      robustFinetune({ ...ownRecipe, method }, data, { seed: 3, executor, ...own });
    const eager = await run();
    const compiled = await run(compiledExecutor({ kernels: "standard" }));
    expect(eager.step).toBe(4);
    for (const [name, { data }] of Object.entries(eager.params))
      expectClose(compiled.params[name]!.data, data, { absolute: 1e-5 });
    expect(Math.max(...eager.params["bn.running_mean"]!.data)).toBeGreaterThan(0.05);
    expect(eager.metrics.loss).toBeCloseTo(compiled.metrics.loss!, 4);
    expect(eager.averaged!["fc.weight"]!.data).not.toEqual(eager.params["fc.weight"]!.data);
    for (const [name, { data }] of Object.entries(eager.averaged!))
      expectClose(compiled.averaged![name]!.data, data, { absolute: 1e-5 });
    const largest = (params: HostTensors) => Math.max(...params["bn.running_mean"]!.data);
    expect(largest(eager.averaged!)).toBeGreaterThan(0.3 * largest(eager.params)); // from 0, half of the way a step
    expect(largest(eager.averaged!)).toBeLessThan(0.9 * largest(eager.params));
  });

  it("trains a ViT, one field of the recipe", async () => {
    const { model, metrics } = await robustFinetune({ ...vitRecipe, method }, data, {
      seed: 3,
      executor: compiledExecutor({ kernels: "standard" }),
      ...own,
    });
    expect(model.config.width).toBe(8);
    expect(Number.isFinite(metrics.trainLoss)).toBe(true);
  });
});

it("the classifier has the averaged weights, which evaluations measure", async () => {
  const recipe = { ...vitRecipe, method: methods.gaussian! };
  const options = { seed: 3, executor: eagerExecutor() };
  const plain = await robustFinetune({ ...recipe, emaDecay: null }, data, options);
  const averaged = await robustFinetune({ ...recipe, emaDecay: 0.999 }, data, options);
  expect(averaged.params).toEqual(plain.params);
  const fingerprint = (params: HostTensors) =>
    prepareClassifier(averaged.model, params).fingerprint;
  expect(plain.classifier().fingerprint).toBe(fingerprint(plain.params));
  expect(averaged.classifier().fingerprint).toBe(fingerprint(averaged.averaged!));
  expect(averaged.classifier().fingerprint).not.toBe(plain.classifier().fingerprint);
});

it("with SGD a ViT has layer-wise learning rates, and weight decay everywhere", async () => {
  const weightDecay = 0.1;
  const sgd = { learningRate: 1e-3, momentum: 0, weightDecay, stepSize: 30, gamma: 0.1 };
  const recipe = { ...vitRecipe, batchSize: 32, clipNorm: null, method: methods.gaussian!, sgd };
  const options = { seed: 3, executor: eagerExecutor() };
  const moves = async (layerDecay: number) => {
    const { model, params } = await robustFinetune({ ...recipe, layerDecay }, data, options);
    const fresh = model.initHost(foldIn(key(3), "init"));
    return (name: string) => params[name]!.data.map((v, i) => v - Number(fresh[name]!.data[i]));
  };
  const [plain, scaled] = [await moves(1), await moves(0.5)];
  for (const [name, scale] of [
    ["patch_embed.proj.weight", 0.25],
    ["blocks.0.mlp.fc1.weight", 0.5],
    ["head.weight", 1],
  ] as const) {
    const expected = plain(name).map((value) => value * scale);
    expectClose(scaled(name), expected, { absolute: 2e-7 });
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-5);
  }
  const without = { ...recipe, layerDecay: 1, sgd: { ...sgd, weightDecay: 0 } };
  const { params } = await robustFinetune(without, data, options);
  const decayed = await robustFinetune({ ...recipe, layerDecay: 1 }, data, options);
  const name = "blocks.0.norm1.weight"; // ones at first
  const lost = params[name]!.data.map((v, i) => v - Number(decayed.params[name]!.data[i]));
  expectClose(
    lost,
    lost.map(() => 1e-3 * weightDecay),
    { absolute: 2e-7 },
  );
});

it("finetuneRecipe builds a recipe for a model that is no ViT", async () => {
  const built = finetuneRecipe({ model: own, epochs: 1, method: { name: "gaussian" } });
  const { model } = await robustFinetune(built, data, { executor: eagerExecutor() });
  expect(model).toBe(own);
  expect([built.layerDecay, finetuneRecipe({ model: "vit_tiny_patch16" }).layerDecay]).toEqual([
    1, 0.75,
  ]);
});

it("run.json holds the settings of the method and the configuration of the model", async () => {
  const folder = scratch();
  const recipe = { ...ownRecipe, method: methods.catRs! };
  await robustFinetune(recipe, data, { seed: 3, executor: eagerExecutor(), softLabels, folder });
  const text = readFileSync(`${folder}/run.json`, "utf8");
  expect(text).toContain(
    '"name":"catRs"'.replaceAll('":"', text.includes('": "') ? '": "' : '":"'),
  );
  expect(text).toContain("normalised linear");
  const other = { ...softLabels, data: softLabels.data.map((v) => 0.5 - v / 2) as Float32Array };
  const again = robustFinetune(recipe, data, {
    seed: 3,
    executor: eagerExecutor(),
    folder,
    softLabels: other,
  });
  await expect(again).rejects.toThrow(/softLabels/);
});

it("names what does not fit", async () => {
  const run = (change: object, options: object = {}) =>
    robustFinetune({ ...ownRecipe, method: methods.gaussian!, ...change }, data, {
      seed: 3,
      executor: eagerExecutor(),
      ...options,
    });
  await expect(run({ method: methods.smoothAdv, mixup: 0.8 })).rejects.toThrow(
    'robustFinetune: mixup and cutmix must be 0 with smoothAdv, got {"mixup":0.8,"cutmix":0}',
  );
  const late = { ...methods.macer, deferredUntilEpoch: 0 }; // of one epoch: its second term never begins
  await expect(run({ method: late })).rejects.toThrow(
    "robustFinetune: epochs must be 2 or more for deferredUntilEpoch of macer, got 1",
  );
  const catRs = { ...methods.catRs, doubleRadiusFromEpoch: 1 };
  await expect(run({ method: catRs })).rejects.toThrow(
    "epochs must be 2 or more for doubleRadiusFromEpoch of catRs, got 1",
  );
  const slow = { ...attack, epsilon: 0.5, warmupEpochs: 3 };
  await expect(run({ method: { ...methods.smoothAdv, ...slow } })).rejects.toThrow(
    "epochs must be 3 or more for warmupEpochs of smoothAdv, got 1",
  );
  const { copies: _, ...inner } = slow;
  await expect(run({ method: { ...methods.consistency, attack: inner } })).rejects.toThrow(
    "epochs must be 3 or more for attack.warmupEpochs of consistency, got 1",
  );
  await expect(run({ model: { ...own, numClasses: 1 } })).rejects.toThrow(
    "robustFinetune: numClasses of the model must be 2 or more, got 1",
  );
  await expect(run({ dropPath: 0.1 })).rejects.toThrow(
    "dropPath must be 0 and layerDecay 1 for a model that is no ViT, got 0.1",
  );
  await expect(run({ emaDecay: 1 })).rejects.toThrow(
    "emaDecay must lie in [0, 1), or be null for no average, got 1",
  );
  const surplus = { ...own.initHost(key(0)), "conv.weight": ones([1]) };
  await expect(run({}, { pretrained: surplus })).rejects.toThrow("these differ: conv.weight");
  await expect(run({}, { loading: { allow: ["fc.weight"] } })).rejects.toThrow(
    "robustFinetune: loading must be left out for a model that is no ViT",
  );
  await expect(run({}, { pretrained: { "fc.weight": zeros([3, 2]) } })).rejects.toThrow(
    "pretrained must hold the parameters of the model as HostTensors, and no others; these differ: bn.running_mean, bn.weight, fc.weight",
  );
});

const counts = { ...softLabels, data: softLabels.data.map((v) => 100 * v) as Float32Array };
const below = Float32Array.of(-0.1, 1.1, 0, ...softLabels.data.subarray(3));
const rule =
  "softLabels must be [32, 3] float32 with catRs, a row for each image of the data set, got ";
const probabilities =
  "each row of softLabels must be probabilities, 0 or more with the sum 1, got ";
it.each([
  ["catRs", undefined, `${rule}none`],
  ["catRs", { ...softLabels, shape: [3, 32] }, `${rule}[3, 32]`],
  ["catRs", { ...softLabels, shape: [16, 3], data: softLabels.data.slice(48) }, `${rule}[16, 3]`],
  ["catRs", { ...softLabels, data: softLabels.data.slice(10) }, `${rule}86 numbers`],
  ["catRs", { ...softLabels, data: below }, `${probabilities}[-0.10000000149011612, 1.`],
  ["catRs", counts, `${probabilities}[70, 30.`],
  ["gaussian", softLabels, "softLabels must be left out, got some with the method gaussian"],
] as const)(
  "%s refuses soft labels that do not fit, before training",
  async (name, given, message) => {
    const run = robustFinetune({ ...ownRecipe, method: methods[name]! }, data, {
      ...{ seed: 3, executor: eagerExecutor(), softLabels: given as HostTensor | undefined },
    });
    await expect(run).rejects.toMatchObject({
      code: "argument",
      message: expect.stringContaining(`robustFinetune: ${message}`),
    });
  },
);
