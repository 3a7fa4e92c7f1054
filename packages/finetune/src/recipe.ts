import type { ConsistencyMode } from "@dmae/consistency-loss";
import { DmaeError } from "@dmae/core";
import type { TrainingRecipe } from "@dmae/train";
import type { ViTConfig, ViTName, ViTOptions } from "@dmae/vit";

/** A robust fine-tuning run, every field written out. */
export interface FinetuneRecipe extends TrainingRecipe {
  /** The classifier by name, or a whole configuration. */
  readonly model: ViTName | ViTOptions;
  /** Fields of the configuration that differ from the model's. */
  readonly config: Partial<ViTConfig>;
  /** Standard deviation of the noise, or an interval to draw it from; in images in [0, 1]. */
  readonly sigma: number | readonly [low: number, high: number];
  /** Where sigma is an interval: one draw an image, or one for the whole batch. */
  readonly sigmaPer: "image" | "batch";
  /** Noisy copies of each image in a batch; 1 for Gaussian augmentation alone (RS). */
  readonly copies: number;
  /** Consistency regularisation of the copies (CR); null for none (RS). */
  readonly consistency: ConsistencySettings | null;
  /** Share of the target spread over all classes. */
  readonly labelSmoothing: number;
  /** Mixup's Beta parameter; 0 for no mixup. */
  readonly mixup: number;
  /** CutMix's Beta parameter; 0 for no CutMix. */
  readonly cutmix: number;
  /** Probability that a batch is mixed at all. */
  readonly mixProbability: number;
  /** Probability of CutMix where both are on. */
  readonly switchProbability: number;
  /** Largest rate of stochastic depth; it grows linearly from 0 at the first block. */
  readonly dropPath: number;
  /** Factor on the learning rate from layer to layer downwards. */
  readonly layerDecay: number;
  /** AdamW weight decay. */
  readonly weightDecay: number;
  /** AdamW decay of the first moment. */
  readonly beta1: number;
  /** AdamW decay of the second moment. */
  readonly beta2: number;
  /** Largest global l2 norm of the gradients; null for no clipping. */
  readonly clipNorm: number | null;
}

/** Weights of the consistency loss (Jeong & Shin, arXiv:2006.04062). */
export interface ConsistencySettings {
  /** Weight of the divergence; `reg_lbd` in the official scripts. */
  readonly lambda: number;
  /** Weight of the entropy; `reg_eta` in the official scripts. */
  readonly mu: number;
  /** Form of the loss. */
  readonly mode: ConsistencyMode;
}

/** Throws for a field outside its range. */
export function checkFinetuneRecipe(recipe: FinetuneRecipe): void {
  const fail = (rule: string, value: unknown) => {
    throw new DmaeError("argument", `robustFinetune: ${rule}, got ${value}`, { value });
  };
  if (typeof recipe !== "object" || recipe === null)
    fail(
      'the recipe must be an object, e.g. finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"]',
      recipe,
    );
  for (const name of ["epochs", "batchSize", "accumulate", "copies"] as const)
    if (!Number.isInteger(recipe[name]) || recipe[name] < 1)
      fail(`${name} must be a positive integer`, recipe[name]);
  for (const name of ["mixProbability", "switchProbability"] as const)
    if (!(recipe[name] >= 0 && recipe[name] <= 1)) fail(`${name} must lie in [0, 1]`, recipe[name]);
  for (const name of ["labelSmoothing", "dropPath"] as const)
    if (!(recipe[name] >= 0 && recipe[name] < 1)) fail(`${name} must lie in [0, 1)`, recipe[name]);
  for (const name of nonNegative)
    if (!(recipe[name] >= 0 && Number.isFinite(recipe[name])))
      fail(`${name} must be a number, 0 or more`, recipe[name]);
  const [low, high] = sigmaRange(recipe.sigma);
  if (!(low >= 0 && low <= high && Number.isFinite(high)))
    fail("sigma must be 0 or more, or an interval [low, high] of such", recipe.sigma);
  if (recipe.sigmaPer !== "image" && recipe.sigmaPer !== "batch")
    fail('sigmaPer must be "image" or "batch"', recipe.sigmaPer);
  if (typeof recipe.consistency !== "object")
    fail("consistency must be null, or lambda, mu and mode", recipe.consistency);
  if (recipe.consistency !== null && recipe.copies < 2)
    fail("copies must be 2 or more with consistency regularisation", recipe.copies);
  if (mixes(recipe) && (recipe.batchSize * recipe.copies) % 2 !== 0)
    fail("batchSize * copies must be even with mixup or cutmix", recipe.batchSize * recipe.copies);
}

const nonNegative = [
  "mixup",
  "cutmix",
  "warmupEpochs",
  "baseLearningRate",
  "minLearningRate",
  "weightDecay",
] as const;

/** True where batches are mixed. */
export function mixes({ mixup, cutmix }: Pick<FinetuneRecipe, "mixup" | "cutmix">): boolean {
  return mixup > 0 || cutmix > 0;
}

/** Both ends of sigma; equal for a fixed one. */
export function sigmaRange(sigma: number | readonly [number, number]): readonly [number, number] {
  return typeof sigma === "number" ? [sigma, sigma] : sigma;
}
