import { createMethod, type MethodSettings, type TrainingMethod } from "@dmae/certified-training";
import type { OptionNames } from "@dmae/core/checks";
import type { Model } from "@dmae/nn";
import type { TrainingRecipe } from "@dmae/train";
import { checkRecipe, type RecipeRanges, trainingRecipeNames } from "@dmae/train/tasks";
import { createViT, type ViT, type ViTName, type ViTOptions } from "@dmae/vit";

/** A robust fine-tuning run, every field written out. */
export interface FinetuneRecipe<M extends Model = never> extends TrainingRecipe {
  /** The classifier: a ViT by name, by its configuration or itself, or any other model. */
  readonly model: ViTName | ViTOptions | ViT | M;
  /** Standard deviation of the noise, or an interval to draw it from; in images in [0, 1]. */
  readonly sigma: number | readonly [low: number, high: number];
  /** Where sigma is an interval: one draw an image, or one for the whole batch. */
  readonly sigmaPer: "image" | "batch";
  /**
   * The training method of `@dmae/certified-training` by name and settings: `gaussian` (RS), `consistency` (CR),
   * `smoothAdv`, `catRs`, …; or a method of your own.
   */
  readonly method: MethodSettings | TrainingMethod;
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
  /** Trains with SGD and a step schedule instead of AdamW and the cosine; null or left out for those. */
  readonly sgd?: SgdRecipe | null;
  /**
   * Keeps an exponential moving average of weights and running statistics with this decay; evaluations and the finished
   * classifier use it. Null or left out for none.
   */
  readonly emaDecay?: number | null;
}

/**
 * SGD as the certified-training literature uses it; it replaces the fields of AdamW and the cosine. `layerDecay` applies
 * to it as well.
 */
export interface SgdRecipe {
  /** Learning rate of the first epochs, not scaled with the batch. */
  readonly learningRate: number;
  /** Momentum. */
  readonly momentum: number;
  /** Weight decay of every parameter, biases and normalisation included. */
  readonly weightDecay: number;
  /** Epochs between two drops of the learning rate. */
  readonly stepSize: number;
  /** Factor of each drop. */
  readonly gamma: number;
  /**
   * `"start"`: a drop acts from epoch `stepSize` on, counted from 0 (locuslab/smoothing, Hadisalman/smoothing-adversarial);
   * `"end"`, the default: an epoch later (alinlab/smoothing-catrs and its relatives).
   */
  readonly steppedAt?: "start" | "end";
  /** One epoch, counted from 0, with the rate times `gamma` once more, `--lr_drop` of CAT-RS; null or left out for none. */
  readonly dipInEpoch?: number | null;
}

/** The names of {@link FinetuneRecipe}; those of the method are its own matter. */
export const recipeNames = {
  ...trainingRecipeNames,
  model: true,
  sigma: true,
  sigmaPer: true,
  method: true,
  labelSmoothing: true,
  mixup: true,
  cutmix: true,
  mixProbability: true,
  switchProbability: true,
  dropPath: true,
  layerDecay: true,
  weightDecay: true,
  beta1: true,
  beta2: true,
  clipNorm: true,
  sgd: {
    learningRate: true,
    momentum: true,
    weightDecay: true,
    stepSize: true,
    gamma: true,
    steppedAt: true,
    dipInEpoch: true,
  },
  emaDecay: true,
} satisfies OptionNames<FinetuneRecipe<Model>>;

/** The training method of a recipe. */
export function methodOf({ method }: Pick<FinetuneRecipe, "method">): TrainingMethod {
  return "loss" in method ? method : createMethod(method);
}

/** Throws for unknown fields, and for one outside its range. */
export function checkFinetuneRecipe(recipe: FinetuneRecipe<Model>): void {
  const example = 'finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"]';
  const fail = checkRecipe("robustFinetune", recipe, recipeNames, ranges, example);
  const isPair = Array.isArray(recipe.sigma) && recipe.sigma.length === 2;
  const [low, high] = isPair ? recipe.sigma : [recipe.sigma, recipe.sigma];
  if (!(Number.isFinite(low) && Number.isFinite(high) && low >= 0 && low <= high))
    fail("sigma must be 0 or more, or an interval [low, high] of such", recipe.sigma);
  if (recipe.sigmaPer !== "image" && recipe.sigmaPer !== "batch")
    fail('sigmaPer must be "image" or "batch"', recipe.sigmaPer);
  if (typeof recipe.method !== "object" || recipe.method === null)
    fail('method must be settings like { name: "gaussian", copies: 1 }', recipe.method);
  const { copies, mixable, settings } = methodOf(recipe);
  for (const [field, needed] of epochsOf(settings))
    if (needed > recipe.epochs)
      fail(`epochs must be ${needed} or more for ${field} of ${settings.name}`, recipe.epochs);
  const { mixup, cutmix } = recipe;
  if (mixes(recipe) && !mixable)
    fail(`mixup and cutmix must be 0 with ${settings.name}`, { mixup, cutmix });
  if (mixes(recipe) && (recipe.batchSize * copies) % 2 !== 0)
    fail("batchSize * copies must be even with mixup or cutmix", recipe.batchSize * copies);
  const model = buildModel(recipe.model);
  if (!(model.numClasses >= 2)) fail("numClasses of the model must be 2 or more", model.numClasses);
  if (!isViT(model) && (recipe.dropPath > 0 || recipe.layerDecay !== 1))
    fail("dropPath must be 0 and layerDecay 1 for a model that is no ViT", recipe.dropPath);
  if (recipe.clipNorm !== null && !(typeof recipe.clipNorm === "number" && recipe.clipNorm > 0))
    fail("clipNorm must be positive, or null for no clipping", recipe.clipNorm);
  if (!(typeof recipe.layerDecay === "number" && recipe.layerDecay > 0 && recipe.layerDecay <= 1))
    fail("layerDecay must lie in (0, 1]", recipe.layerDecay);
  const { emaDecay = null } = recipe;
  if (emaDecay !== null && !(typeof emaDecay === "number" && emaDecay >= 0 && emaDecay < 1))
    fail("emaDecay must lie in [0, 1), or be null for no average", emaDecay);
}

/** The epochs that a method's settings take: so many that what they begin late begins, and warm-ups end. */
function epochsOf(settings: TrainingMethod["settings"]): (readonly [string, number])[] {
  const { deferredUntilEpoch, doubleRadiusFromEpoch, warmupEpochs, attack } = settings;
  const { warmupEpochs: ofAttack } = (attack ?? {}) as { readonly warmupEpochs?: unknown };
  const needed = [
    ["deferredUntilEpoch", deferredUntilEpoch, 2], // the last epoch without, counted from 0
    ["doubleRadiusFromEpoch", doubleRadiusFromEpoch, 1],
    ["warmupEpochs", warmupEpochs, 0],
    ["attack.warmupEpochs", ofAttack, 0],
  ] as const;
  return needed.flatMap(([field, epoch, more]) =>
    typeof epoch === "number" ? [[field, epoch + more] as const] : [],
  );
}

/** Whether the model of a recipe is one itself, not the name or the configuration of a ViT. */
export const isModel = <M extends Model>(model: ViTName | ViTOptions | M): model is M =>
  typeof model === "object" && model !== null && "apply" in model;

/** The model of a recipe. */
export function buildModel<M extends Model>(model: ViTName | ViTOptions | M): ViT | M {
  return isModel(model) ? model : createViT(model);
}

/** Whether a model is a Vision Transformer. */
export const isViT = (model: Model): model is ViT => "features" in model;

const ranges: RecipeRanges<FinetuneRecipe<Model>> = {
  labelSmoothing: "lie in [0, 1)",
  mixup: "be a number, 0 or more",
  cutmix: "be a number, 0 or more",
  mixProbability: "lie in [0, 1]",
  switchProbability: "lie in [0, 1]",
  dropPath: "lie in [0, 1)",
  weightDecay: "be a number, 0 or more",
};

/** True where batches are mixed. */
export function mixes({ mixup, cutmix }: Pick<FinetuneRecipe, "mixup" | "cutmix">): boolean {
  return mixup > 0 || cutmix > 0;
}

/** Both ends of sigma; equal for a fixed one. */
export function sigmaRange(sigma: number | readonly [number, number]): readonly [number, number] {
  return typeof sigma === "number" ? [sigma, sigma] : sigma;
}
