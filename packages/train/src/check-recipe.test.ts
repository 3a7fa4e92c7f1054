import { describe, expect, it } from "vitest";
import { augmentationOperations } from "./augmentation.ts";
import { checkRecipe } from "./check-recipe.ts";
import { withDefaultBatch } from "./default-batch.ts";
import { type TrainingRecipe, trainingRecipeNames } from "./train-model.ts";

const recipe = {
  ...{ epochs: 1, batchSize: 2, accumulate: 1, warmupEpochs: 0 },
  ...{ baseLearningRate: 0.1, minLearningRate: 0, augmentation: null },
};
const check = (fields: object) =>
  checkRecipe<TrainingRecipe>(
    "train",
    { ...recipe, ...fields } as never,
    trainingRecipeNames,
    {},
    "{}",
  );

describe("checkRecipe", () => {
  it.each([
    ["epochs", 1e300, "epochs must be a positive integer"],
    ["epochs", Number.POSITIVE_INFINITY, "epochs must be a positive integer"],
    ["warmupEpochs", null, "warmupEpochs must be a number, 0 or more"],
    ["minLearningRate", [], "minLearningRate must be a number, 0 or more"],
    ["baseLearningRate", "0.1", "baseLearningRate must be a number, 0 or more"],
    ["augmentation", "flip", "augmentation: options must be an object"],
    ["augmentation", { flip: 0.5 }, 'unknown recipe field "augmentation.flip"'],
    ["augmentation", { horizontalFlip: 2 }, "randomHorizontalFlip: probability must"],
    ["augmentation", { horizontalFlip: -1 }, "randomHorizontalFlip: probability must"],
    ["augmentation", { horizontalFlip: "0.5" }, "randomHorizontalFlip: probability must"],
    ["augmentation", { resizedCropScale: 0.2 }, "randomResizedCrop: scale"],
    ["augmentation", { cropPadding: -4 }, "randomCrop: padding"],
    ["augmentation", { randAugment: "some" }, "randAugment"],
  ])("refuses %s %o", (field, value, message) => {
    expect(() => check({ [field]: value })).toThrow(message);
    expect(() => check({ [field]: value })).toThrow(expect.objectContaining({ code: "argument" }));
  });

  it.each([null, undefined, {}, { horizontalFlip: 0.5 }, { cropPadding: 4 }])(
    "takes augmentation %o",
    (augmentation) => expect(() => check({ augmentation })).not.toThrow(),
  );
});

it("augments by what is named, and no more", () => {
  expect(augmentationOperations({}, 8)).toEqual([]);
  expect(augmentationOperations({ horizontalFlip: 0.5 }, 8)).toEqual([
    { op: "randomHorizontalFlip", probability: 0.5 },
  ]);
  expect(augmentationOperations({ cropPadding: 4 }, 8).map(({ op }) => op)).toEqual(["randomCrop"]);
});

it("names a data set that nobody awaited", () => {
  for (const given of [recipe, { ...recipe, batchSize: undefined }])
    expect(() => withDefaultBatch("pretrain", given, Promise.resolve({}) as never)).toThrow(
      "pretrain: the data set is a promise; await it first",
    );
});

it("names what is no data set", () => {
  for (const data of [null, undefined, "photos"])
    expect(() => withDefaultBatch("pretrain", recipe, data as never)).toThrow(
      "pretrain: the images must be a data set or a batchLoader",
    );
});
