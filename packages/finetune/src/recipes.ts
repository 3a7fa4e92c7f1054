import { deepFreeze } from "@dmae/train/tasks";
import { createViT, type ViTConfig } from "@dmae/vit";
import { CIFAR10_NORMALIZATION } from "@dmae/vit/parts";
import type { LinearProbeRecipe } from "./probe-recipe.ts";
import type { FinetuneRecipe } from "./recipe.ts";

// The runs of the paper's Table 8. Values come from the command lines of FINETUNE.md of quanlin-wu/dmae (at 782f139427)
// and, where those leave an option out, from the defaults of the script's parser. The official ImageNet runs spread a
// batch over 8 devices; here one device accumulates it: `batchSize * accumulate` is the official effective batch.

/** Noise levels of the paper, as recipe names write them. */
export type RecipeSigma = "0.25" | "0.50" | "1.00";
const sigmas = ["0.25", "0.50", "1.00"] as const satisfies readonly RecipeSigma[];

/** FINETUNE.md: `--con_reg` with `reg_lbd` 2 and `reg_eta` 0.5, for sigma 1.0 `reg_eta` 0.1; 2 noisy samples by default. */
const consistencyFor = (sigma: RecipeSigma) =>
  ({
    name: "consistency",
    copies: 2,
    lambda: 2,
    mu: sigma === "1.00" ? 0.1 : 0.5,
    mode: "default",
  }) as const;

/** Options that every official fine-tuning command shares, and parser defaults that it relies on. */
const shared = {
  sigmaPer: "image",
  labelSmoothing: 0.1, // parser default of --smoothing
  mixProbability: 1, // parser default of --mixup_prob
  switchProbability: 0.5, // parser default of --mixup_switch_prob
  warmupEpochs: 5, // parser default of --warmup_epochs
  minLearningRate: 1e-6, // parser default of --min_lr
  weightDecay: 0.05, // --weight_decay
  beta1: 0.9, // defaults of torch.optim.AdamW
  beta2: 0.999,
  clipNorm: null, // parser default of --clip_grad
} as const;

/** `util/datasets.py`: timm's training transform without its third stage (so no random erasing). */
const imagenetAugmentation = {
  resizedCropScale: [0.08, 1],
  horizontalFlip: 0.5,
  randAugment: "rand-m9-mstd0.5-inc1",
} as const;

const base = {
  ...shared,
  model: createViT("vit_base_patch16").config, // models_vit.py, 1,000 classes, global pool by default
  mixup: 0.8, // --mixup
  cutmix: 1, // --cutmix
  dropPath: 0.1, // --drop_path
  layerDecay: 0.65, // --layer_decay
  epochs: 100, // --epochs
  batchSize: 32, // --batch_size
  accumulate: 32, // --accum_iter 4 on 8 devices
  baseLearningRate: 5e-4, // --blr
  augmentation: imagenetAugmentation,
} as const;

const large = {
  ...base,
  model: createViT("vit_large_patch16").config,
  dropPath: 0.2,
  layerDecay: 0.75,
  epochs: 50,
  baseLearningRate: 1e-3,
} as const;

const cifar10 = {
  ...base,
  model: { ...base.model, inputSize: 32, numClasses: 10, ...CIFAR10_NORMALIZATION },
  mixup: 0, // parser defaults: the command has neither
  cutmix: 0,
  epochs: 50,
  batchSize: 64,
  accumulate: 4, // --accum_iter 4 on one device
  augmentation: { resizedCropScale: null, horizontalFlip: 0.5, randAugment: null },
} as const;

/** Names of {@link finetuneRecipes}. */
export type FinetuneRecipeName =
  | `dmae-vit-b-imagenet-${"cr" | "rs"}-${RecipeSigma}`
  | `dmae-vit-l-imagenet-${"cr" | "rs"}-${RecipeSigma}`
  | `dmae-vit-b-cifar10-${"cr" | "rs"}-${RecipeSigma}`;

type WithViT<Recipe> = Omit<Recipe, "model"> & { readonly model: ViTConfig };
type Settings = Omit<FinetuneRecipe, "name" | "source" | "sigma" | "method">;

function recipe(
  name: string,
  source: string,
  settings: Settings,
  sigma: RecipeSigma,
  method: "cr" | "rs",
): [string, FinetuneRecipe] {
  const full = `${name}-${method}-${sigma}`;
  return [
    full,
    {
      name: full,
      source,
      ...settings,
      sigma: Number(sigma),
      method: method === "cr" ? consistencyFor(sigma) : { name: "gaussian", copies: 1 },
    },
  ];
}

/**
 * The paper's fine-tuning runs by model, data set, method (`cr` with consistency regularisation, `rs` with Gaussian
 * augmentation alone) and sigma, every field written out; frozen. The official command for ViT-Large has no consistency
 * regularisation, but the headline numbers of ViT-Large are `cr` (Table 6 of the paper).
 */
export const finetuneRecipes = deepFreeze(
  Object.fromEntries(
    sigmas.flatMap((sigma) => [
      recipe("dmae-vit-b-imagenet", "FINETUNE.md, ViT-Base on ImageNet", base, sigma, "cr"),
      recipe("dmae-vit-b-imagenet", "FINETUNE.md, ViT-Base on ImageNet by RS", base, sigma, "rs"),
      recipe(
        "dmae-vit-l-imagenet",
        "Tables 6 and 8; FINETUNE.md, ViT-Large on ImageNet, with --con_reg as for ViT-Base",
        large,
        sigma,
        "cr",
      ),
      recipe("dmae-vit-l-imagenet", "FINETUNE.md, ViT-Large on ImageNet", large, sigma, "rs"),
      recipe("dmae-vit-b-cifar10", "FINETUNE.md, ViT-Base on CIFAR-10", cifar10, sigma, "cr"),
      recipe(
        "dmae-vit-b-cifar10",
        "FINETUNE.md, ViT-Base on CIFAR-10 without --con_reg",
        cifar10,
        sigma,
        "rs",
      ),
    ]),
  ),
) as Readonly<Record<FinetuneRecipeName, WithViT<FinetuneRecipe>>>;

/** Names of {@link linearProbeRecipes}. */
export type LinearProbeRecipeName = `dmae-vit-b-imagenet-probe-${RecipeSigma}`;

/** The paper's linear probes by sigma, every field written out; frozen. */
export const linearProbeRecipes = deepFreeze(
  Object.fromEntries(
    sigmas.map((sigma): [string, LinearProbeRecipe] => [
      `dmae-vit-b-imagenet-probe-${sigma}`,
      {
        name: `dmae-vit-b-imagenet-probe-${sigma}`,
        source: "FINETUNE.md, linear-probing; main_linprobe.py, util/lars.py",
        model: { ...base.model, globalPool: false }, // --cls_token, the default of this script anyway
        sigma: Number(sigma),
        epochs: 90, // --epochs
        warmupEpochs: 10, // parser default of --warmup_epochs
        batchSize: 512, // --batch_size
        accumulate: 32, // --accum_iter 4 on 8 devices
        baseLearningRate: 0.1, // --blr
        minLearningRate: 0, // parser default of --min_lr
        weightDecay: 0, // --weight_decay
        momentum: 0.9, // defaults of LARS
        trustCoefficient: 0.001,
        batchNormGroup: 512, // each card normalises its own batch
        augmentation: { resizedCropScale: [0.08, 1], horizontalFlip: 0.5, randAugment: null },
      },
    ]),
  ),
) as Readonly<Record<LinearProbeRecipeName, WithViT<LinearProbeRecipe>>>;
