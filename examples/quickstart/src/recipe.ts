import type { FinetuneRecipe } from "@dmae/finetune";
import type { PretrainRecipe } from "@dmae/pretrain";
import type { Options } from "./options.ts";

/** Mean and standard deviation of the training pixels. */
export const normalization = { mean: [0.286], std: [0.353] };

/** A ViT small enough to train in minutes: 16 patches of 7x7, 0.8 M parameters. */
export const encoder = {
  imageSize: 28,
  patchSize: 7,
  channels: 1,
  width: 128,
  depth: 4,
  heads: 4,
  ...normalization,
} as const;

/** Table 7 of the paper scaled down to a laptop: the same method, a smaller model, fewer epochs. */
export const pretrainRecipe = ({ sigma, epochs }: Options): PretrainRecipe => ({
  name: "quickstart-pretrain",
  source: "chosen for minutes on two cores; the method is Table 7's",
  model: { ...encoder, decoderWidth: 64, decoderDepth: 1, decoderHeads: 4 },
  config: {},
  sigma,
  maskRatio: 0.75,
  normPixLoss: false,
  region: "all",
  epochs: 2 * epochs,
  warmupEpochs: 0.2 * epochs,
  batchSize: 128,
  accumulate: 1,
  baseLearningRate: 4e-3,
  minLearningRate: 0,
  weightDecay: 0.05,
  beta1: 0.9,
  beta2: 0.95,
  augmentation: null,
});

/** Table 8 scaled down: two noisy copies of each image, consistency regularisation, layer-wise decay. */
export const finetuneRecipe = ({ sigma, epochs }: Options): FinetuneRecipe => ({
  name: "quickstart-finetune",
  source: "chosen for minutes on two cores; the method is Table 8's",
  model: { ...encoder, numClasses: 10, globalPool: true },
  config: {},
  sigma,
  sigmaPer: "image",
  method: { name: "consistency", copies: 2, lambda: 2, mu: 0.5, mode: "default" },
  labelSmoothing: 0,
  mixup: 0,
  cutmix: 0,
  mixProbability: 0,
  switchProbability: 0,
  dropPath: 0,
  layerDecay: 0.75,
  epochs,
  warmupEpochs: 0.1 * epochs,
  batchSize: 48,
  accumulate: 1,
  baseLearningRate: 1.07e-2,
  minLearningRate: 0,
  weightDecay: 0.05,
  beta1: 0.9,
  beta2: 0.999,
  clipNorm: null,
  augmentation: { resizedCropScale: null, horizontalFlip: 0.5, randAugment: null },
});
