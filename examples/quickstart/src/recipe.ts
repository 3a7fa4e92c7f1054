import { type FinetuneRecipe, finetuneRecipe } from "@dmae/finetune";
import { type PretrainRecipe, pretrainRecipe } from "@dmae/pretrain";
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
export const pretraining = ({ sigma, epochs }: Options): PretrainRecipe => ({
  ...pretrainRecipe({ model: encoder, epochs: 2 * epochs }),
  name: "quickstart-pretrain",
  source: "chosen for minutes on two cores; the method is Table 7's",
  sigma,
  normPixLoss: false,
  warmupEpochs: 0.2 * epochs,
  batchSize: 128,
  augmentation: null,
});

/** Table 8 scaled down: two noisy copies of each image, consistency regularisation, layer-wise decay. */
export const finetuning = ({ sigma, epochs }: Options): FinetuneRecipe => ({
  ...finetuneRecipe({ model: { ...encoder, numClasses: 10, globalPool: true }, epochs }),
  name: "quickstart-finetune",
  source: "chosen for minutes on two cores; the method is Table 8's",
  sigma,
  mixProbability: 0,
  switchProbability: 0,
  warmupEpochs: 0.1 * epochs,
  batchSize: 48,
  augmentation: { resizedCropScale: null, horizontalFlip: 0.5, randAugment: null },
});
