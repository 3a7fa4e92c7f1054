import type { Given } from "@dmae/core";
import { checkOptions, defined } from "@dmae/core/checks";
import type { Model } from "@dmae/nn";
import type { OpenRecipe } from "@dmae/train";
import { createViT } from "@dmae/vit";
import { type DenoiserRecipe, denoiserRecipeNames, isUNet } from "./denoiser-recipe.ts";
import { type LinearProbeRecipe, probeRecipeNames } from "./probe-recipe.ts";
import { buildModel, type FinetuneRecipe, isModel, isViT, recipeNames } from "./recipe.ts";

/**
 * A fine-tuning recipe from what you want to decide; the rest suits small models on one machine: the paper's method, with
 * consistency regularisation, its optimizer and weight decay (Table 8), but no label smoothing, mixing or stochastic depth,
 * and for a ViT a layer-wise decay of 0.75. {@link finetuneRecipes} has the paper's own values. Pass the result on, or
 * change any field of it.
 *
 * @param fields `model` at least: `tiny(images)` of `@dmae/vit`, a name, a configuration, or a model such as
 *   `createViT("vit_small_patch16", { numClasses: 10 })`; `sigma` default 0.25
 * @returns a recipe without `batchSize` unless you give one: 64 images then, or all of a smaller data set
 *
 * @example
 * const recipe = finetuneRecipe({ model: tiny(images), sigma: 0.25 });
 * const tuned = await robustFinetune(recipe, images, { pretrained: encoder });
 */
export function finetuneRecipe(
  fields: Given<FinetuneRecipe> & Pick<FinetuneRecipe, "model">,
): OpenRecipe<FinetuneRecipe>;
/** The same for any other model. */
export function finetuneRecipe<M extends Model>(
  fields: Given<FinetuneRecipe<M>> & Pick<FinetuneRecipe<M>, "model">,
): OpenRecipe<FinetuneRecipe<M>>;
export function finetuneRecipe(
  fields: Given<FinetuneRecipe<Model>> & Pick<FinetuneRecipe<Model>, "model">,
): OpenRecipe<FinetuneRecipe<Model>> {
  checkOptions("finetuneRecipe", fields, recipeNames, "recipe field");
  const { epochs = 20, sigma = 0.25 } = fields;
  const largest = Array.isArray(sigma) ? Number(sigma[1]) : Number(sigma);
  return {
    sigmaPer: "image",
    method: {
      name: "consistency",
      ...{ copies: 2, lambda: 2, mu: largest >= 1 ? 0.1 : 0.5, mode: "default" },
    },
    labelSmoothing: 0,
    mixup: 0,
    cutmix: 0,
    mixProbability: 1,
    switchProbability: 0.5,
    dropPath: 0,
    layerDecay: isViT(buildModel(fields.model)) ? 0.75 : 1,
    warmupEpochs: epochs / 10,
    accumulate: 1,
    baseLearningRate: 1.07e-2, // the quickstart's, for a width of 128
    minLearningRate: 0,
    weightDecay: 0.05,
    beta1: 0.9,
    beta2: 0.999,
    clipNorm: null,
    augmentation: { resizedCropScale: null, horizontalFlip: 0.5 },
    ...defined(fields),
    epochs,
    sigma,
  };
}

/**
 * A linear-probing recipe from what you want to decide; the rest is the paper's (`main_linprobe.py`), but images are mirrored
 * and not cropped: LARS without weight decay, a rate of 0.1 for 256 images, a ninth of the epochs to warm up, features of the
 * class token (`globalPool: false`) unless the configuration of `model` says otherwise.
 *
 * @param fields `model` at least: that of the pre-training, by name or as a configuration, with `numClasses` for other
 *   than 1000 classes; `sigma` default 0.25
 * @returns a recipe without `batchSize` unless you give one: 64 images then, or all of a smaller data set
 * @throws DmaeError "argument" for an unknown field
 *
 * @example
 * const recipe = linearProbeRecipe({ model: tiny(images), sigma: 0.25 });
 * const probed = await linearProbe(recipe, images, { pretrained: encoder });
 */
export function linearProbeRecipe(
  fields: Given<LinearProbeRecipe> & Pick<LinearProbeRecipe, "model">,
): OpenRecipe<LinearProbeRecipe> {
  checkOptions("linearProbeRecipe", fields, probeRecipeNames, "recipe field");
  const { epochs = 90, model } = fields;
  return {
    sigma: 0.25,
    warmupEpochs: epochs / 9,
    accumulate: 1,
    baseLearningRate: 0.1,
    minLearningRate: 0,
    weightDecay: 0,
    momentum: 0.9,
    trustCoefficient: 0.001,
    augmentation: { resizedCropScale: null, horizontalFlip: 0.5 },
    ...defined(fields),
    epochs,
    model: withClassToken(model),
  };
}

/**
 * A recipe for a denoiser from what you want to decide: by default Adam at a rate of 1e-3 for 64 images, squared error for a
 * DnCNN and the noise of a diffusion for a U-Net.
 *
 * @param fields `denoiser` at least: `createDnCNN(…)` or `createUNet(…)`; `sigma` default 0.25
 * @returns a recipe without `batchSize` unless you give one: 64 images then, or all of a smaller data set
 * @throws DmaeError "argument" for an unknown field
 *
 * @example
 * const recipe = denoiserRecipe({ denoiser: createDnCNN({ channels: 1 }), sigma: 0.25 });
 * const trained = await trainDenoiser(recipe, images);
 */
export function denoiserRecipe(
  fields: Given<DenoiserRecipe> & Pick<DenoiserRecipe, "denoiser">,
): OpenRecipe<DenoiserRecipe> {
  checkOptions("denoiserRecipe", fields, denoiserRecipeNames, "recipe field");
  const { epochs = 20, denoiser } = fields;
  return {
    objective: isUNet(denoiser) ? "diffusion" : "denoising",
    sigma: 0.25,
    warmupEpochs: epochs / 10,
    accumulate: 1,
    baseLearningRate: 4e-3,
    minLearningRate: 0,
    weightDecay: 0,
    beta1: 0.9,
    beta2: 0.999,
    augmentation: { resizedCropScale: null, horizontalFlip: 0.5 },
    ...defined(fields),
    epochs,
    denoiser,
  };
}

function withClassToken(model: LinearProbeRecipe["model"]): LinearProbeRecipe["model"] {
  if (isModel(model)) return model;
  if (typeof model === "object") return { globalPool: false, ...defined(model) };
  return createViT(model, { globalPool: false }).config;
}
