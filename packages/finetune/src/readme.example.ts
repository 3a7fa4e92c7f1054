import { key } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { evaluate, finetuneRecipes, robustFinetune } from "@dmae/finetune";
import { eagerExecutor, selectBackend } from "@dmae/nn";

await selectBackend("auto");
const executor = eagerExecutor(); // or compiledExecutor() of @dmae/compile

// The paper's consistency recipe at sigma 0.25, with a model and a schedule that suit a few hundred small images.
const recipe = {
  ...finetuneRecipes["dmae-vit-b-cifar10-cr-0.25"],
  name: "waves",
  source: "the README of @dmae/finetune",
  model: {
    ...{ width: 32, depth: 2, heads: 4, imageSize: 16, patchSize: 4, channels: 1, numClasses: 4 },
    ...{ mean: [0.5], std: [0.25] },
  },
  epochs: 8,
  warmupEpochs: 1,
  batchSize: 16,
  accumulate: 1,
  baseLearningRate: 0.08,
  augmentation: null,
};

const shape = { key: key(1), imageShape: [16, 16, 1], numClasses: 4 } as const;
const train = synthetic({ ...shape, length: 256 });
const { model, params } = await robustFinetune(recipe, train, {
  executor,
  seed: 0,
  // pretrained: the encoder of pretrain(), or a checkpoint of @dmae/checkpoint
  // folder: "runs/waves-finetune" keeps a log and checkpoints there, and resumes what it finds
});

const test = synthetic({ ...shape, length: 64, split: "test" });
const { accuracy } = await evaluate(model, params, test, { executor, sigma: 0.25, seed: 2 });
console.log(accuracy); // under noise; chance is 0.25
