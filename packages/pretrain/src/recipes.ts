import { deepFreeze } from "@dmae/train/tasks";
import type { ViTName } from "@dmae/vit";
import { CIFAR10_NORMALIZATION } from "@dmae/vit/parts";
import { type DmaeConfig, type DmaeOptions, resolveDmaeConfig } from "./config.ts";
import type { PretrainRecipe } from "./recipe.ts";

// The runs of the paper's Table 7. Values come from the command lines of PRETRAIN.md of quanlin-wu/dmae (at 782f139427)
// and, where those leave an option out, from the defaults of the script's parser. The official runs spread a batch over
// 8 devices; here one device accumulates it: `batchSize * accumulate` is the official effective batch.

/** Options that every official pre-training command shares, and parser defaults that it relies on. */
const shared = {
  sigma: 0.25, // --sigma
  maskRatio: 0.75, // --mask_ratio
  normPixLoss: true, // --norm_pix_loss
  region: "all", // forward_loss: the mean over all patches
  batchSize: 64, // --batch_size
  weightDecay: 0.05, // --weight_decay
  minLearningRate: 0, // parser default of --min_lr
  beta1: 0.9, // main_pretrain.py: betas of AdamW
  beta2: 0.95,
} as const;

/** A model of `models_dmae.py`, its defaults written out. */
function autoencoder(name: ViTName, changes: Partial<DmaeConfig> = {}): DmaeOptions {
  const { sigma, ...model } = resolveDmaeConfig(name, changes);
  return model;
}

/** `main_pretrain.py`: RandomResizedCrop(224, scale=(0.2, 1)), bicubic, and a flip. */
const cropAndFlip = { resizedCropScale: [0.2, 1], horizontalFlip: 0.5 } as const;

const onImagenet = {
  ...shared,
  warmupEpochs: 40, // --warmup_epochs
  accumulate: 64, // --accum_iter 8 on 8 devices
  baseLearningRate: 1.5e-4, // --blr
  augmentation: cropAndFlip,
} as const;

const recipes = {
  "dmae-vit-b-imagenet-pretrain": {
    ...onImagenet,
    name: "dmae-vit-b-imagenet-pretrain",
    source: "PRETRAIN.md, DMAE-Base",
    model: autoencoder("vit_base_patch16"),
    epochs: 1100, // --epochs
  },
  "dmae-vit-b-imagenet-pretrain-700": {
    ...onImagenet,
    name: "dmae-vit-b-imagenet-pretrain-700",
    source: "PRETRAIN.md, DMAE-Base, with the 700 epochs of the paper's comparison of lengths",
    model: autoencoder("vit_base_patch16"),
    epochs: 700,
  },
  "dmae-vit-l-imagenet-pretrain": {
    ...onImagenet,
    name: "dmae-vit-l-imagenet-pretrain",
    source: "PRETRAIN.md, DMAE-Large",
    model: autoencoder("vit_large_patch16"),
    epochs: 1600,
  },
  "dmae-vit-b-cifar10-continued": {
    ...shared,
    name: "dmae-vit-b-cifar10-continued",
    source: "PRETRAIN.md, continued pre-training on CIFAR-10; pretrain_cifar10.py",
    model: autoencoder("vit_base_patch16", { inputSize: 32, ...CIFAR10_NORMALIZATION }),
    epochs: 50,
    warmupEpochs: 10,
    accumulate: 8, // --accum_iter 8 on one device
    baseLearningRate: 5e-5,
    augmentation: { resizedCropScale: null, horizontalFlip: 0.5 },
  },
  "mae-vit-b-imagenet-pretrain": {
    ...onImagenet,
    name: "mae-vit-b-imagenet-pretrain",
    source: "PRETRAIN.md of facebookresearch/mae with ViT-Base: no noise, hidden patches only",
    model: autoencoder("vit_base_patch16"),
    sigma: 0,
    region: "masked",
    epochs: 800,
  },
} as const satisfies Readonly<Record<PretrainRecipeName, PretrainRecipe>>;

/** Names of {@link pretrainRecipes}. */
export type PretrainRecipeName =
  | "dmae-vit-b-imagenet-pretrain"
  | "dmae-vit-b-imagenet-pretrain-700"
  | "dmae-vit-l-imagenet-pretrain"
  | "dmae-vit-b-cifar10-continued"
  | "mae-vit-b-imagenet-pretrain";

/** The paper's pre-training runs and their baseline, every field written out; frozen. */
export const pretrainRecipes: Readonly<
  Record<PretrainRecipeName, Omit<PretrainRecipe, "model"> & { readonly model: DmaeOptions }>
> = deepFreeze(recipes);
