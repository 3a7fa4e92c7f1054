import { checkOptions } from "@dmae/core/checks";
import type { OpenRecipe } from "@dmae/train";
import { type FinetuneRecipe, recipeNames } from "./recipe.ts";

/**
 * A fine-tuning recipe from what you want to decide; everything else has the paper's value (Table 8, with consistency
 * regularisation), with a schedule for small models on one machine. Pass the result on, or change any field of it.
 *
 * @param fields `model` at least: `tiny(images)` of `@dmae/vit`, a name, or a configuration; `sigma` default 0.25
 * @returns a recipe without `batchSize` unless you give one: 64 images then, or all of a smaller data set
 *
 * @example
 * const recipe = finetuneRecipe({ model: tiny(images), sigma: 0.25 });
 * const tuned = await robustFinetune(recipe, images, { pretrained: encoder });
 */
export function finetuneRecipe(
  fields: Partial<FinetuneRecipe> & Pick<FinetuneRecipe, "model">,
): OpenRecipe<FinetuneRecipe> {
  checkOptions("finetuneRecipe", fields, recipeNames, "recipe field");
  const { epochs = 20, sigma = 0.25 } = fields;
  const largest = typeof sigma === "number" ? sigma : sigma[1];
  return {
    config: {},
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
    layerDecay: 0.75,
    warmupEpochs: epochs / 10,
    accumulate: 1,
    baseLearningRate: 1.07e-2, // the quickstart's, for a width of 128
    minLearningRate: 0,
    weightDecay: 0.05,
    beta1: 0.9,
    beta2: 0.999,
    clipNorm: null,
    augmentation: { resizedCropScale: null, horizontalFlip: 0.5 },
    ...fields,
    epochs,
    sigma,
  };
}
