import { type ConvNet, createConvNet } from "@dmae/convnet";
import type { FinetuneRecipe, LinearProbeRecipe } from "@dmae/finetune";
import { buildModel } from "@dmae/finetune/tasks";
import type { Model } from "@dmae/nn";
import type { DmaeOptions } from "@dmae/pretrain";
import { resolveDmaeConfig } from "@dmae/pretrain/tasks";
import type { ViT, ViTConfig } from "@dmae/vit";
import { type ConvNetRecipe, isClassifierRecipe, type Recipe } from "./recipe.ts";

/** The training of a recipe that ends in a classifier. */
export type ClassifierTraining = FinetuneRecipe | ConvNetRecipe | LinearProbeRecipe;

/** Whether a recipe trains a convolutional network; else it trains a ViT. */
export const isConvNet = (training: Recipe["training"]): training is ConvNetRecipe =>
  typeof training.model === "object" && "blocks" in training.model;

/** The classifier of a recipe. */
export function modelOf(training: ClassifierTraining): ViT | ConvNet {
  if (isConvNet(training)) return createConvNet(training.model.name, training.model);
  return buildModel(training.model);
}

/** The recipe as `robustFinetune` takes it: a convolutional network as a model, not as a configuration. */
export function finetuneRecipeOf(training: FinetuneRecipe | ConvNetRecipe): FinetuneRecipe<Model> {
  return isConvNet(training) ? { ...training, model: modelOf(training) } : training;
}

/** Side of the images that a recipe's model takes. */
export function inputSizeOf(recipe: Recipe): number {
  if (isClassifierRecipe(recipe)) return modelOf(recipe.training).config.inputSize;
  return resolveDmaeConfig(recipe.training.model).inputSize;
}

/** An autoencoder with the encoder of the recipe. */
export function decoderOf(recipe: Recipe): DmaeOptions {
  if (!isClassifierRecipe(recipe)) return resolveDmaeConfig(recipe.training.model);
  const { numClasses, globalPool, ...encoder } = modelOf(recipe.training).config as ViTConfig;
  return { ...encoder, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
}
