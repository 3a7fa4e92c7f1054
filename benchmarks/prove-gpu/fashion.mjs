// One LeNet row and one DMAE ViT on Fashion-MNIST: trained under noise, measured under noise, and certified.

import { createConvNet } from "@dmae/convnet";
import { foldIn, key } from "@dmae/core";
import { fashionMnist, synthetic, take } from "@dmae/datasets";
import { evaluate, finetuneRecipe, robustFinetune } from "@dmae/finetune";
import { pretrain, pretrainRecipe } from "@dmae/pretrain";
import { certifyDataset } from "@dmae/smoothing-certify";

const sigma = 0.25;
const encoder = {
  imageSize: 28,
  patchSize: 4,
  channels: 1,
  width: 128,
  depth: 4,
  heads: 4,
  mean: [0.286],
  std: [0.353],
};

const source = "scaled down for a proof on a card";

const dmaePretraining = pretrainRecipe({
  name: "prove-pretrain",
  source,
  model: encoder,
  sigma,
  normPixLoss: false,
  warmupEpochs: 0.2,
  batchSize: 128,
  augmentation: null,
});

const dmaeFinetuning = finetuneRecipe({
  name: "prove-finetune",
  source,
  model: { ...encoder, numClasses: 10, globalPool: true },
  sigma,
  mixProbability: 0,
  switchProbability: 0,
  warmupEpochs: 0.1,
  batchSize: 48,
  augmentation: null,
});

/** Trains until the stage's time is over: the run folder keeps it, and the next call goes on. */
export async function fashion({ executor, folder, toy, epochs, signal, row }) {
  const shape = { key: key(1), imageShape: [28, 28, 1], numClasses: 10 };
  const { train, test } = toy
    ? {
        train: synthetic({ ...shape, length: 96 }),
        test: synthetic({ ...shape, length: 16, split: "test" }),
      }
    : await fashionMnist();
  const options = (name) => ({
    executor,
    seed: foldIn(key(0), name),
    folder: `${folder}/${name}`,
    checkpointEveryEpochs: 0.25,
    signal,
  });
  const limit = (recipe) => ({
    ...recipe,
    epochs,
    batchSize: toy ? 16 : recipe.batchSize,
    warmupEpochs: Math.min(recipe.warmupEpochs, epochs / 10),
  });
  await row("DMAE ViT on Fashion-MNIST", async () => {
    const before = await pretrain(limit(dmaePretraining), train, options("pretrain"));
    const { model, params } = await robustFinetune(limit(dmaeFinetuning), train, {
      ...options("finetune"),
      pretrained: before.params,
    });
    const { accuracy } = await evaluate(model, params, take(test, toy ? 16 : 2000), {
      executor,
      sigma,
      seed: 2,
    });
    return {
      epochs,
      accuracyUnderNoise: accuracy,
      ...(await certified(model, params, executor, test, toy)),
    };
  });
  await row("LeNet on Fashion-MNIST, Gaussian", async () => {
    const lenet = createConvNet("lenet", {
      channels: 1,
      mean: [0.286],
      std: [0.353],
      inputSize: 28,
    });
    const { params, model } = await robustFinetune(
      {
        ...limit({ ...dmaeFinetuning, name: "prove-lenet" }),
        model: lenet,
        method: { name: "gaussian", copies: 1 },
        layerDecay: 1,
        batchSize: toy ? 16 : 256,
        baseLearningRate: 1e-3,
        weightDecay: 1e-4,
      },
      train,
      options("lenet"),
    );
    const { accuracy } = await evaluate(model, params, take(test, toy ? 16 : 2000), {
      executor,
      sigma,
      seed: 2,
    });
    return { epochs, accuracyUnderNoise: accuracy };
  });
}

async function certified(model, params, executor, test, toy) {
  const size = toy ? 8 : 1000;
  const shape = [size, 28, 28, 1];
  const prepared = await executor.prepareFunction({
    fn: ({ images, ...weights }) => ({ logits: model.logits(weights, images) }),
    specs: { images: { shape } },
    constants: params,
  });
  const classifier = {
    name: "prove-gpu",
    input: "array",
    fixedBatchSize: size,
    numClasses: 10,
    predict: async (data) => (await prepared({ images: { dtype: "float32", shape, data } })).logits,
  };
  const [images, n] = toy ? [2, 16] : [20, 10_000];
  const started = performance.now();
  let correct = 0;
  const settings = {
    sigma,
    n0: toy ? 8 : 100,
    n,
    alpha: 0.001,
    seed: 0,
    skip: Math.floor(test.length / images),
    max: images,
  };
  for await (const row of certifyDataset(classifier, test, settings))
    if (row.correct && row.radius > 0.25) correct++;
  await prepared.dispose();
  const seconds = (performance.now() - started) / 1000;
  return {
    certifiedAt025: correct / images,
    noisyImagesPerSecond: Math.round((images * (n + settings.n0)) / seconds),
  };
}
