import type { DmaeOptions } from "@dmae/pretrain";
import { resolveDmaeConfig } from "@dmae/pretrain";
import { createViT, type ViTConfig } from "@dmae/vit";
import { isClassifierRecipe, type Recipe } from "./recipe.ts";

/** The configuration of a recipe's encoder. */
export function encoderOf(recipe: Recipe): Omit<ViTConfig, "numClasses" | "globalPool"> {
  if (isClassifierRecipe(recipe))
    return createViT(recipe.training.model, recipe.training.config).config;
  return resolveDmaeConfig(recipe.training.model, recipe.training.config);
}

/** An autoencoder with the encoder of the recipe. */
export function decoderOf(recipe: Recipe): DmaeOptions {
  if (!isClassifierRecipe(recipe))
    return resolveDmaeConfig(recipe.training.model, recipe.training.config);
  const { numClasses, globalPool, ...encoder } = createViT(
    recipe.training.model,
    recipe.training.config,
  ).config;
  return { ...encoder, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
}
