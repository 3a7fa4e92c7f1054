import { type ConvNet, type ConvNetName, createConvNet } from "@dmae/convnet";
import type { FinetuneRecipe, LinearProbeRecipe } from "@dmae/finetune";
import type { Model } from "@dmae/nn";
import type { DmaeOptions } from "@dmae/pretrain";
import { resolveDmaeConfig } from "@dmae/pretrain/tasks";
import { createViT, type ViT } from "@dmae/vit";
import { type ConvNetRecipe, isClassifierRecipe, type Recipe } from "./recipe.ts";

/** The training of a recipe that ends in a classifier. */
export type ClassifierTraining = FinetuneRecipe | ConvNetRecipe | LinearProbeRecipe;

const convNets: Readonly<Record<ConvNetName, true>> = {
  lenet: true,
  cifar_resnet20: true,
  cifar_resnet110: true,
  resnet50: true,
};

/** Whether a recipe trains a convolutional network; else it trains a ViT. */
export const isConvNet = (training: Recipe["training"]): training is ConvNetRecipe =>
  typeof training.model === "string" && Object.hasOwn(convNets, training.model);

/** The classifier of a recipe. */
export function modelOf(training: ClassifierTraining): ViT | ConvNet {
  if (isConvNet(training)) return createConvNet(training.model, training.config);
  return createViT(training.model, training.config);
}

/** The recipe as `robustFinetune` takes it: a convolutional network as a model, not as a name. */
export function finetuneRecipeOf(training: FinetuneRecipe | ConvNetRecipe): FinetuneRecipe<Model> {
  if (!isConvNet(training)) return training;
  return { ...training, model: createConvNet(training.model, training.config), config: {} };
}

/** Side of the images that a recipe's model takes. */
export function inputSizeOf(recipe: Recipe): number {
  if (isClassifierRecipe(recipe)) return modelOf(recipe.training).config.inputSize;
  return resolveDmaeConfig(recipe.training.model, recipe.training.config).inputSize;
}

/** An autoencoder with the encoder of the recipe. */
export function decoderOf(recipe: Recipe): DmaeOptions {
  if (!isClassifierRecipe(recipe))
    return resolveDmaeConfig(recipe.training.model, recipe.training.config);
  const { model, config } = recipe.training as Exclude<ClassifierTraining, ConvNetRecipe>;
  const { numClasses, globalPool, ...encoder } = createViT(model, config).config;
  return { ...encoder, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
}
