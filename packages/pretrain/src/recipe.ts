import { DmaeError } from "@dmae/core";
import type { ViTName } from "@dmae/vit";
import type { DmaeConfig, DmaeOptions } from "./config.ts";
import type { LossRegion } from "./loss.ts";

/** How training images are augmented; carried out by the `transform` or the batch loader given to `pretrain`. */
export interface PretrainAugmentation {
  /** Range of the area of a random crop, resized bicubically to the image size, aspect 3/4 to 4/3; null for none. */
  readonly resizedCropScale: readonly [low: number, high: number] | null;
  /** Probability of a horizontal flip. */
  readonly horizontalFlip: number;
}

/** A pre-training run, every field written out. */
export interface PretrainRecipe {
  /** A name for logs. */
  readonly name: string;
  /** Where the values come from. */
  readonly source: string;
  /** The encoder by name, or a whole configuration. */
  readonly model: ViTName | DmaeOptions;
  /** Fields of the configuration that differ from the model's. */
  readonly config: Partial<DmaeConfig>;
  /** Standard deviation of the noise, in images in [0, 1]; 0 for MAE. */
  readonly sigma: number;
  /** Share of the patches that are hidden. */
  readonly maskRatio: number;
  /** Normalises the target of each patch. */
  readonly normPixLoss: boolean;
  /** Patches that count in the loss. */
  readonly region: LossRegion;
  /** Passes over the data. */
  readonly epochs: number;
  /** Epochs of linear warm-up. */
  readonly warmupEpochs: number;
  /** Images in a micro-batch. */
  readonly batchSize: number;
  /** Micro-batches in an update; `batchSize * accumulate` is the effective batch. */
  readonly accumulate: number;
  /** Learning rate for an effective batch of 256; it grows linearly with the effective batch. */
  readonly baseLearningRate: number;
  /** Learning rate at the end. */
  readonly minLearningRate: number;
  /** AdamW weight decay, not of biases and one-dimensional parameters. */
  readonly weightDecay: number;
  /** AdamW decay of the first moment. */
  readonly beta1: number;
  /** AdamW decay of the second moment. */
  readonly beta2: number;
  /** Augmentation, or null for none. */
  readonly augmentation: PretrainAugmentation | null;
}

/** Throws for a field outside its range. */
export function checkPretrainRecipe(recipe: PretrainRecipe): void {
  const fail = (rule: string, value: unknown) => {
    throw new DmaeError("argument", `pretrain: ${rule}, got ${value}`, { value });
  };
  if (typeof recipe !== "object" || recipe === null)
    fail(
      'the recipe must be an object, e.g. pretrainRecipes["dmae-vit-b-cifar10-continued"]',
      recipe,
    );
  for (const name of ["epochs", "batchSize", "accumulate"] as const)
    if (!Number.isInteger(recipe[name]) || recipe[name] < 1)
      fail(`${name} must be a positive integer`, recipe[name]);
  const nonNegative = [
    "sigma",
    "warmupEpochs",
    "baseLearningRate",
    "minLearningRate",
    "weightDecay",
  ] as const;
  for (const name of nonNegative)
    if (!(recipe[name] >= 0 && Number.isFinite(recipe[name])))
      fail(`${name} must be a number, 0 or more`, recipe[name]);
  if (typeof recipe.normPixLoss !== "boolean")
    fail("normPixLoss must be true or false", recipe.normPixLoss);
  if (recipe.region !== "all" && recipe.region !== "masked")
    fail('region must be "all" or "masked"', recipe.region);
  if (recipe.region === "masked" && recipe.maskRatio === 0)
    fail('region "masked" needs a maskRatio above 0', 0);
}
