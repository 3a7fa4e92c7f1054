import { isConvNet } from "./model.ts";
import { type ConvNetRecipe, ensembleOf, isClassifierRecipe, type Recipe } from "./recipe.ts";
import { applySettings } from "./settings.ts";

/**
 * The recipe with a tiny model, one epoch and a few noisy copies: the same code in seconds. Augmentation, mixing,
 * consistency, accumulation, schedule and decay stay as they are; attacks take two steps, and what a method begins in a
 * later epoch it begins in the first.
 */
export function smokeRecipe(recipe: Recipe, numClasses: number): Recipe {
  const settings = [
    ...(isConvNet(recipe.training) ? tinyConvNet(recipe.training) : tinyViT(recipe)),
    ...(ensembleOf(recipe) ? ["ensemble.members=3", "ensemble.consensus=2"] : []),
    "training.model.inputSize=32",
    "training.epochs=1",
    "training.warmupEpochs=0.5",
    "training.batchSize=4",
    "training.accumulate=2",
    ...(isClassifierRecipe(recipe)
      ? [
          `training.model.numClasses=${numClasses}`,
          "evaluation.images=4",
          "evaluation.votes=4",
          "evaluation.voteEvery=4",
          "certification.n0=10",
          "certification.n=20",
          "certification.every=4",
          "certification.batchSize=10",
        ]
      : [
          "training.model.decoderWidth=8",
          "training.model.decoderDepth=1",
          "training.model.decoderHeads=2",
        ]),
  ];
  return applySettings(recipe, settings);
}

const tinyViT = ({ dataset }: Recipe): string[] => [
  "training.model.width=16",
  "training.model.depth=2",
  "training.model.heads=2",
  "training.model.patchSize=8",
  `training.model.imageSize=${dataset === "cifar10" ? 48 : 32}`, // resized inside the model, as the recipe does it
];

const tinyConvNet = ({ model, method }: ConvNetRecipe): string[] => [
  "training.model.width=4",
  `training.model.blocks=${model.name === "resnet50" ? "[1,1,1,1]" : "[1,1,1]"}`,
  ...("copies" in method && method.copies! > 2 ? ["training.method.copies=2"] : []),
  ...("steps" in method && method.steps > 2 ? ["training.method.steps=2"] : []),
  ...("deferredUntilEpoch" in method ? ["training.method.deferredUntilEpoch=null"] : []),
  ...("doubleRadiusFromEpoch" in method ? ["training.method.doubleRadiusFromEpoch=null"] : []),
  ...("warmupEpochs" in method ? ["training.method.warmupEpochs=1"] : []),
];
