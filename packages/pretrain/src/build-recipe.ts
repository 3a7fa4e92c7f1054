import type { Given } from "@dmae/core";
import { checkOptions, defined } from "@dmae/core/checks";
import type { OpenRecipe } from "@dmae/train";
import { createViT } from "@dmae/vit";
import { type DmaeOptions, describedModel } from "./config.ts";
import { type PretrainRecipe, recipeNames } from "./recipe.ts";

/**
 * A pre-training recipe from what you want to decide; everything else has the paper's value (Table 7), with a schedule
 * and a decoder for small models on one machine. Pass the result on, or change any field of it.
 *
 * @param fields `model` at least: `tiny(images)` of `@dmae/vit`, a name, a configuration, or a model such as
 *   `createViT("vit_small_patch16", { imageSize: 32, patchSize: 4 })`
 * @returns a recipe without `batchSize` unless you give one: 64 images then, or all of a smaller data set
 *
 * @example
 * const { encoder } = await pretrain(pretrainRecipe({ model: tiny(images), epochs: 50 }), images);
 */
export function pretrainRecipe(
  fields: Given<PretrainRecipe> & Pick<PretrainRecipe, "model">,
): OpenRecipe<PretrainRecipe> {
  checkOptions("pretrainRecipe", fields, recipeNames, "recipe field");
  const { epochs = 50 } = fields;
  const given = describedModel(fields.model);
  const model = typeof given === "object" ? given : createViT(given).config;
  return {
    sigma: 0.25,
    maskRatio: 0.75,
    normPixLoss: true,
    region: "all",
    warmupEpochs: epochs / 10,
    accumulate: 1,
    baseLearningRate: 4e-3, // the quickstart's, for a width of 128
    minLearningRate: 0,
    weightDecay: 0.05,
    beta1: 0.9,
    beta2: 0.95,
    augmentation: { resizedCropScale: null, horizontalFlip: 0.5 },
    ...defined(fields),
    epochs,
    model: { ...smallDecoder(model), ...defined(model) },
  };
}

/** One block of half the encoder's width; wide encoders keep the paper's decoder. */
function smallDecoder(model: DmaeOptions): Partial<DmaeOptions> {
  const { width, heads } = model ?? {}; // what is no configuration, pretrain names
  if (!(width < 512 && heads > 0)) return {};
  const unit = 4 * heads;
  const decoderWidth = unit * Math.ceil(width / 2 / unit);
  return { decoderWidth, decoderDepth: 1, decoderHeads: heads };
}
