import "@tensorflow/tfjs-backend-cpu";
import { createDnCNN } from "@dmae/convnet/denoising";
import { type HostTensors, key, type World } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { eagerExecutor, type Model, selectBackend } from "@dmae/nn";
import { ones } from "@dmae/nn/layers";
import { createDmae } from "@dmae/pretrain";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { localWorlds } from "../../../testing/worlds.ts";
import type { DenoiserRecipe } from "./denoiser-recipe.ts";
import { linearProbe } from "./linear-probe.ts";
import type { LinearProbeRecipe } from "./probe-recipe.ts";
import type { FinetuneRecipe } from "./recipe.ts";
import { finetuneRecipes, linearProbeRecipes } from "./recipes.ts";
import { robustFinetune } from "./robust-finetune.ts";
import { trainDenoiser } from "./train-denoiser.ts";

const data = synthetic({ key: key(1), imageShape: [8, 8, 1], numClasses: 3, length: 25 });
const sizes = { imageSize: 8, inputSize: 8, patchSize: 4, channels: 1, mean: [0.5], std: [0.25] };
const encoder = { ...sizes, width: 8, depth: 2, heads: 2 };
const model = { ...encoder, numClasses: 3 };
const decoder = { decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
const pretrained = createDmae({ ...encoder, ...decoder }).initHost(key(2));
const schedule = {
  ...{ epochs: 1, warmupEpochs: 0, batchSize: 12, accumulate: 1, augmentation: null },
  baseLearningRate: 0.05,
};
const recipe: FinetuneRecipe = {
  ...finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"],
  ...{ ...schedule, model, dropPath: 0.2, sigma: [0.1, 0.2] },
};
const probe: LinearProbeRecipe = {
  ...linearProbeRecipes["dmae-vit-b-imagenet-probe-0.25"],
  ...{ ...schedule, model: { ...model, globalPool: false }, batchNormGroup: 4 },
  baseLearningRate: 20,
};

beforeAll(() => selectBackend("cpu"));

type Train = (world: World) => Promise<{ readonly params: HostTensors }>;

/** The parameters of one process, and of every rank, close to each other. */
async function expectSame(train: Train): Promise<void> {
  const [alone] = await Promise.all(localWorlds(1).worlds.map(train));
  for (const size of [2, 3]) {
    const all = await Promise.all(localWorlds(size).worlds.map(train));
    for (const { params } of all)
      for (const [name, { data }] of Object.entries(alone!.params)) {
        if (name.endsWith("qkv.bias")) continue; // that of keys has no gradient but rounding
        expectClose(params[name]!.data, data, { absolute: 1e-5 });
      }
  }
}

const finetune = (method: FinetuneRecipe["method"], change: Partial<FinetuneRecipe> = {}) =>
  expectSame((world) =>
    robustFinetune({ ...recipe, ...change, method }, data, {
      ...{ executor: eagerExecutor(), seed: 3, pretrained, world },
    }),
  );

describe("ranks give the numbers of one process", () => {
  it("in consistency regularisation with mixup and CutMix, whose partners are on the same rank", () =>
    finetune(recipe.method, { mixup: 0.8, cutmix: 1, labelSmoothing: 0.1 }));

  it.each([
    { name: "gaussian" },
    { name: "stability", lambda: 2 },
    { name: "macer", copies: 2, lambda: 4, beta: 16, margin: 8 },
  ] as never[])("with the method %o", (method) =>
    finetune(method, { mixup: 0, cutmix: 0, sigma: 0.2 }),
  );

  it("in probing, whose batch normalisation goes over groups", () =>
    expectSame((world) =>
      linearProbe(probe, data, { executor: eagerExecutor(), seed: 3, pretrained, world }),
    ));

  it("and micro-batches of two groups those of one", async () => {
    const train = (change: Partial<LinearProbeRecipe>) =>
      linearProbe({ ...probe, ...change }, data, {
        executor: eagerExecutor(),
        seed: 3,
        pretrained,
      });
    const whole = await train({ batchSize: 24, accumulate: 1, batchNormGroup: 12 });
    const parts = await train({ batchSize: 12, accumulate: 2, batchNormGroup: 12 });
    // running statistics blend once here and twice there; what is trained does not see them
    expectClose(whole.head["head.1.weight"]!.data, parts.head["head.1.weight"]!.data, {
      absolute: 1e-5,
    });
  });
});

it("models that normalise over their batch train on one rank", async () => {
  const normalised = {
    ...{ config: { name: "bn" }, imageShape: [8, 8, 1], numClasses: 3, buffers: ["bn.mean"] },
    initHost: () => ({ "bn.mean": ones([1]) }),
    apply: () => ({ logits: tf.zeros([1, 3]) }),
  } as unknown as Model;
  const plain = { dropPath: 0, layerDecay: 1, mixup: 0, cutmix: 0, sigma: 0.2 };
  const [world] = localWorlds(2).worlds;
  await expect(
    robustFinetune({ ...recipe, ...plain, model: normalised } as never, data, {
      world: world!,
    }),
  ).rejects.toThrow(
    "robustFinetune: a model with batch normalisation (bn.mean) depends on its whole batch, so that it trains on one rank, got 2",
  );
});

it("a DnCNN trains on one rank", async () => {
  const [world] = localWorlds(2).worlds;
  const dncnn: DenoiserRecipe = {
    ...{ ...schedule, sigma: 0.5, minLearningRate: 0, weightDecay: 0, beta1: 0.9, beta2: 0.999 },
    ...{ denoiser: createDnCNN({ channels: 1, depth: 3, width: 4 }), objective: "denoising" },
  };
  await expect(trainDenoiser(dncnn, data, { world: world! })).rejects.toThrow(
    "trainDenoiser: a model with batch normalisation (dncnn.3.running_mean) depends on its whole batch, so that it trains on one rank, got 2",
  );
});

it("groups that leave a rank without images are named", async () => {
  const [world] = localWorlds(4).worlds;
  await expect(linearProbe(probe, data, { pretrained, world: world! })).rejects.toThrow(
    "linearProbe: 4 ranks cannot share 12 images in 3 groups of 4, over which batch normalisation goes; start at most 3 ranks",
  );
});
