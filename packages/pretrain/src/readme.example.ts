import { key } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { pretrain, pretrainRecipes } from "@dmae/pretrain";

await selectBackend("auto");

// The paper's recipe, with a model and a schedule that suit a few hundred small images.
const recipe = {
  ...pretrainRecipes["dmae-vit-b-imagenet-pretrain"],
  name: "waves",
  source: "the README of @dmae/pretrain",
  model: {
    ...{ width: 32, depth: 2, heads: 4, decoderWidth: 16, decoderDepth: 1, decoderHeads: 2 },
    ...{ imageSize: 16, patchSize: 4, channels: 1, mean: [0.5], std: [0.25] },
  },
  epochs: 8,
  warmupEpochs: 1,
  batchSize: 32,
  accumulate: 1,
  baseLearningRate: 0.04,
  augmentation: null,
};

const images = synthetic({ length: 256, key: key(1), imageShape: [16, 16, 1] });
const { params, metrics } = await pretrain(recipe, images, {
  executor: eagerExecutor(), // or compiledExecutor() of @dmae/compile
  seed: 0,
  // folder: "runs/waves" keeps a log and checkpoints there, and resumes what it finds
});
console.log(metrics.loss); // the reconstruction error of the last batch
console.log(params["blocks.0.attn.qkv.weight"]!.shape); // [96, 32]: names and layouts of the official checkpoints
