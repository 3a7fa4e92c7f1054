import { createViT } from "@dmae/vit";
import { expect, it } from "vitest";
import { finetuneRecipe, linearProbeRecipe } from "./build-recipe.ts";
import { checkProbeRecipe } from "./probe-recipe.ts";
import { checkFinetuneRecipe, type FinetuneRecipe } from "./recipe.ts";
import {
  type FinetuneRecipeName,
  finetuneRecipes,
  type LinearProbeRecipeName,
  linearProbeRecipes,
} from "./recipes.ts";

// The commands of FINETUNE.md (quanlin-wu/dmae at 782f139427), read off by hand; effective batches as stated there.
const commands: [string, string[], Partial<FinetuneRecipe>, number, number, number][] = [
  [
    "dmae-vit-b-imagenet",
    ["cr", "rs"],
    {
      model: { width: 768, depth: 12, heads: 12, patchSize: 16 },
      epochs: 100,
      baseLearningRate: 5e-4,
      layerDecay: 0.65,
      weightDecay: 0.05,
      dropPath: 0.1,
      mixup: 0.8,
      cutmix: 1,
      batchSize: 32,
    },
    4,
    8,
    1024,
  ],
  [
    "dmae-vit-l-imagenet",
    ["cr", "rs"],
    {
      model: { width: 1024, depth: 24, heads: 16, patchSize: 16 },
      epochs: 50,
      baseLearningRate: 1e-3,
      layerDecay: 0.75,
      weightDecay: 0.05,
      dropPath: 0.2,
      mixup: 0.8,
      cutmix: 1,
      batchSize: 32,
    },
    4,
    8,
    1024,
  ],
  [
    "dmae-vit-b-cifar10",
    ["cr", "rs"],
    {
      model: { width: 768, depth: 12, heads: 12, patchSize: 16 },
      epochs: 50,
      baseLearningRate: 5e-4,
      layerDecay: 0.65,
      weightDecay: 0.05,
      dropPath: 0.1,
      mixup: 0,
      cutmix: 0,
      batchSize: 64,
    },
    4,
    1,
    256,
  ],
];
const sigmas = [
  ["0.25", 0.25, 0.5],
  ["0.50", 0.5, 0.5],
  ["1.00", 1, 0.1],
] as const;

it.each(commands)(
  "%s is the official command",
  (prefix, methods, options, accumIter, devices, effectiveBatch) => {
    for (const method of methods)
      for (const [text, sigma, eta] of sigmas) {
        const recipe = finetuneRecipes[`${prefix}-${method}-${text}` as FinetuneRecipeName];
        expect(recipe).toMatchObject({ ...options, sigma });
        expect(recipe).toMatchObject({
          labelSmoothing: 0.1,
          warmupEpochs: 5,
          minLearningRate: 1e-6,
        });
        expect(recipe).toMatchObject({ beta1: 0.9, beta2: 0.999, clipNorm: null });
        expect(recipe.accumulate).toBe(accumIter * devices);
        expect(recipe.batchSize * recipe.accumulate).toBe(effectiveBatch);
        expect(recipe.method).toEqual(
          method === "cr"
            ? { name: "consistency", copies: 2, lambda: 2, mu: eta, mode: "default" }
            : { name: "gaussian", copies: 1 },
        );
      }
  },
);

it.each(Object.keys(finetuneRecipes) as FinetuneRecipeName[])(
  "%s is whole, valid and frozen",
  (name) => {
    const recipe = finetuneRecipes[name];
    expect(recipe.name).toBe(name);
    expect(() => checkFinetuneRecipe(recipe)).not.toThrow();
    expect(createViT(recipe.model).config).toEqual(recipe.model);
    expect(recipe.model.globalPool).toBe(true);
    expect(recipe.model.numClasses).toBe(name.includes("cifar10") ? 10 : 1000);
    expect(
      Object.isFrozen(recipe) &&
        Object.isFrozen(recipe.model) &&
        Object.isFrozen(recipe.augmentation),
    ).toBe(true);
  },
);

it("linearProbeRecipe takes what it is not told from the paper's run", () => {
  const built = linearProbeRecipe({ model: "vit_base_patch16" });
  const { name, source, batchSize, accumulate, batchNormGroup, augmentation, ...paper } =
    linearProbeRecipes["dmae-vit-b-imagenet-probe-0.25"];
  expect(built).toMatchObject({ ...paper, accumulate: 1 });
  expect(built.batchSize).toBeUndefined();
  expect(linearProbeRecipe({ model: "vit_base_patch16", epochs: 18, sigma: 0.5 })).toMatchObject({
    ...{ epochs: 18, warmupEpochs: 2, sigma: 0.5 },
  });
});

it.each([undefined, null, 3])("model %s is refused with the way out", (model) => {
  const wrong = { ...finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"], model } as never;
  expect(() => checkFinetuneRecipe(wrong)).toThrow(/^createViT: (unknown model|options must be)/);
  expect(() => finetuneRecipe({ model } as never)).toThrow(/^createViT: /);
});

it("linearProbeRecipe keeps the pooling that its model asks for", () => {
  const vit = createViT("vit_tiny_patch16");
  expect(linearProbeRecipe({ model: vit }).model).toBe(vit);
  expect(linearProbeRecipe({ model: vit.config }).model).toMatchObject({ globalPool: true });
  const sizes = { width: 8, depth: 1, heads: 2 };
  expect(linearProbeRecipe({ model: sizes }).model).toEqual({ ...sizes, globalPool: false });
});

it.each(Object.keys(linearProbeRecipes) as LinearProbeRecipeName[])(
  "%s is the official command",
  (name) => {
    const recipe = linearProbeRecipes[name];
    expect(() => checkProbeRecipe(recipe)).not.toThrow();
    expect(recipe).toMatchObject({
      name,
      epochs: 90,
      baseLearningRate: 0.1,
      weightDecay: 0,
      batchSize: 512,
      batchNormGroup: 512,
    });
    expect(recipe).toMatchObject({
      warmupEpochs: 10,
      minLearningRate: 0,
      momentum: 0.9,
      trustCoefficient: 0.001,
    });
    expect(recipe.accumulate).toBe(4 * 8);
    expect(recipe.batchSize * recipe.accumulate).toBe(16384);
    expect(recipe.model.globalPool).toBe(false);
  },
);

it("rejects fields outside their ranges, by name", () => {
  const recipe = finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"];
  const check = (change: object) => () => checkFinetuneRecipe({ ...recipe, ...change });
  expect(check({ batchSize: 1.5 })).toThrow(
    "robustFinetune: batchSize must be a positive integer, got 1.5",
  );
  expect(check({ method: { ...recipe.method, copies: 1 } })).toThrow(
    "consistency: copies must be an integer, 2 or more, got 1",
  );
  expect(check({ sigma: [0.5, 0.25] })).toThrow("sigma must be 0 or more, or an interval");
  expect(check({ dropPath: 1 })).toThrow("dropPath must lie in [0, 1), got 1");
  expect(check({ mixProbability: 2 })).toThrow("mixProbability must lie in [0, 1], got 2");
  expect(check({ mixup: -1 })).toThrow("mixup must be a number, 0 or more, got -1");
  expect(check({ batchSize: 3, method: { name: "gaussian" } })).toThrow(
    "batchSize * copies must be even with mixup or cutmix, got 3",
  );
});
