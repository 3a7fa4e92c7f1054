import { isClassifierRecipe, type Recipe } from "./recipe.ts";
import { applySettings } from "./settings.ts";

/**
 * The recipe with a tiny model, one epoch and a few noisy copies: the same code in seconds. Augmentation, mixing,
 * consistency, accumulation, schedule and decay stay as they are.
 */
export function smokeRecipe(recipe: Recipe, numClasses: number): Recipe {
  const isSmall = recipe.dataset === "cifar10"; // resized inside the model, as the recipe does it
  const settings = [
    "training.config.width=16",
    "training.config.depth=2",
    "training.config.heads=2",
    "training.config.patchSize=8",
    `training.config.imageSize=${isSmall ? 48 : 32}`,
    "training.config.inputSize=32",
    "training.epochs=1",
    "training.warmupEpochs=0.5",
    "training.batchSize=4",
    "training.accumulate=2",
    ...(isClassifierRecipe(recipe)
      ? [
          `training.config.numClasses=${numClasses}`,
          "evaluation.images=4",
          "evaluation.votes=4",
          "evaluation.voteEvery=4",
          "certification.n0=10",
          "certification.n=20",
          "certification.every=4",
          "certification.batchSize=10",
        ]
      : [
          "training.config.decoderWidth=8",
          "training.config.decoderDepth=1",
          "training.config.decoderHeads=2",
        ]),
  ];
  return applySettings(recipe, settings);
}
