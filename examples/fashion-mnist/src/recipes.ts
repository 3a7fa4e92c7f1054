import type { FinetuneRecipe } from "@dmae/finetune";
import type { PretrainRecipe } from "@dmae/pretrain";

/** One row of the table: an encoder, what it is fine-tuned with, and the noise it is certified under. */
export interface Row {
  /** Name of the row and of its run folder. */
  readonly name: string;
  /** Pre-training; rows with the same name share its result. */
  readonly pretraining: PretrainRecipe;
  /** Fine-tuning. */
  readonly finetuning: FinetuneRecipe;
  /** Largest shift of a training image when fine-tuning, in pixels. */
  readonly shift: number;
}

/** 49 patches of 4x4, 0.8 M parameters; mean and deviation of the training pixels. */
const encoder = {
  imageSize: 28,
  patchSize: 4,
  channels: 1,
  width: 128,
  depth: 4,
  heads: 4,
  mean: [0.286],
  std: [0.353],
} as const;

const pretraining: PretrainRecipe = {
  name: "dmae-patch4-pretrain",
  source: "the method of the paper's Table 7, scaled down",
  model: { ...encoder, decoderWidth: 64, decoderDepth: 1, decoderHeads: 4 },
  config: {},
  sigma: 0.25,
  maskRatio: 0.75,
  normPixLoss: false,
  region: "all",
  epochs: 30,
  warmupEpochs: 2,
  batchSize: 128,
  accumulate: 1,
  baseLearningRate: 4e-3,
  minLearningRate: 0,
  weightDecay: 0.05,
  beta1: 0.9,
  beta2: 0.95,
  augmentation: { resizedCropScale: null, cropPadding: 0, horizontalFlip: 0.5 },
};

const finetuning = (sigma: number, lambda: number): FinetuneRecipe => ({
  name: `dmae-patch4-cr-${sigma.toFixed(2)}`,
  source: "the method of the paper's Table 8, scaled down; lambda chosen on training images",
  model: { ...encoder, numClasses: 10, globalPool: true },
  config: {},
  sigma,
  sigmaPer: "image",
  method: { name: "consistency", copies: 2, lambda, mu: 0.5, mode: "default" },
  labelSmoothing: 0,
  mixup: 0,
  cutmix: 0,
  mixProbability: 0,
  switchProbability: 0,
  dropPath: 0,
  layerDecay: 0.75,
  epochs: 30,
  warmupEpochs: 2,
  batchSize: 48,
  accumulate: 1,
  baseLearningRate: 1.07e-2,
  minLearningRate: 0,
  weightDecay: 0.05,
  beta1: 0.9,
  beta2: 0.999,
  clipNorm: null,
  augmentation: { resizedCropScale: null, cropPadding: 1, horizontalFlip: 0.5 },
});

/** The rows by name. */
export const rows: readonly Row[] = [0.25, 0.5, 1].map((sigma) => ({
  name: `dmae-patch4-cr-${sigma.toFixed(2)}`,
  pretraining,
  finetuning: finetuning(sigma, 10),
  shift: 1,
}));
