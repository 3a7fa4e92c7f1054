import { type FinetuneRecipe, finetuneRecipe, type LinearProbeRecipe } from "@dmae/finetune";
import { type PretrainRecipe, pretrainRecipe } from "@dmae/pretrain";

/** One row of a table: how an encoder is pre-trained, what follows, and the noise it is certified under. */
export interface Row {
  /** Name of the row and of its run folders. */
  readonly name: string;
  /** What the row is, in a table. */
  readonly label: string;
  /** Pre-training, or null for none; rows with the same recipe name share its result. */
  readonly pretraining: PretrainRecipe | null;
  /** Fine-tuning of the whole model. */
  readonly finetuning?: FinetuneRecipe;
  /** Linear probing of the frozen encoder instead. */
  readonly probing?: LinearProbeRecipe;
  /** Standard deviations of the noise that the row is certified under. */
  readonly sigmas: readonly number[];
}

/** A small ViT, 16 patches of 7x7 and 0.8 M parameters; mean and deviation of the training pixels. */
export const plain = {
  imageSize: 28,
  patchSize: 7,
  channels: 1,
  width: 128,
  depth: 4,
  heads: 4,
  mean: [0.286],
  std: [0.353],
} as const;

/** The paper's Table 7, scaled down. */
export const pretraining = (name: string, epochs: number): PretrainRecipe => ({
  ...pretrainRecipe({ model: plain, epochs }),
  name,
  source: "the method of the paper's Table 7, scaled down",
  normPixLoss: false,
  warmupEpochs: epochs / 15,
  batchSize: 128,
  augmentation: { resizedCropScale: null, cropPadding: 0, horizontalFlip: 0.5 },
});

/** What differs between fine-tunings. */
export interface FinetuneSettings {
  readonly epochs: number;
  /** Weight of the consistency. */
  readonly lambda: number;
  /** Largest shift of a training image, in pixels. */
  readonly shift: number;
  /** Probability that a training image is mirrored; default 0.5. */
  readonly flip?: number;
  /** l2 radius of the attack that an image is moved by first, in one step; 0, the default, for none. */
  readonly attack?: number;
}

/** The paper's Table 8, scaled down; consistency regularisation with this lambda. */
export const finetuning = (
  name: string,
  sigma: FinetuneRecipe["sigma"],
  { epochs, lambda, shift, flip = 0.5, attack = 0 }: FinetuneSettings,
): FinetuneRecipe => ({
  ...finetuneRecipe({ model: { ...plain, numClasses: 10, globalPool: true }, epochs }),
  name,
  source: "the method of the paper's Table 8, scaled down",
  sigma,
  method: {
    ...{ name: "consistency", copies: 2, lambda, mu: 0.5, mode: "default" },
    attack: attack > 0 ? { epsilon: attack, steps: 1, warmupEpochs: epochs / 4 } : null,
  },
  mixProbability: 0,
  switchProbability: 0,
  warmupEpochs: epochs / 15,
  batchSize: 48,
  augmentation: { resizedCropScale: null, cropPadding: shift, horizontalFlip: flip },
});

/** The main rows: SmoothAdv with consistency regularisation (Jeong & Shin 2020) from a DMAE encoder. */
export const rows: readonly Row[] = (
  [
    { sigma: 0.25, lambda: 10, attack: 0.5, epochs: 32, shift: 1, flip: 0.5 },
    { sigma: 0.5, lambda: 2.5, attack: 1, epochs: 40, shift: 0, flip: 0 },
    { sigma: 1, lambda: 1.5, attack: 1.5, epochs: 40, shift: 0, flip: 0 },
  ] as const
).map(({ sigma, ...settings }) => {
  const name = `dmae-adv-cr-${sigma.toFixed(2)}`;
  return {
    name,
    label: "DMAE, SmoothAdv + CR",
    pretraining: pretraining("dmae-pretrain", 24),
    finetuning: {
      ...finetuning(name, sigma, settings),
      layerDecay: 0.9,
    },
    sigmas: [sigma],
  };
});
