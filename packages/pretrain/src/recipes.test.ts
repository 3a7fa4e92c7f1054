import { createViT } from "@dmae/vit";
import { expect, it } from "vitest";
import { pretrainRecipe } from "./build-recipe.ts";
import { resolveDmaeConfig } from "./config.ts";
import { checkPretrainRecipe } from "./recipe.ts";
import { type PretrainRecipeName, pretrainRecipes } from "./recipes.ts";

// The commands of PRETRAIN.md (quanlin-wu/dmae at 782f139427), read off by hand; effective batches as stated there.
const commands: [PretrainRecipeName, Record<string, unknown>, number, number][] = [
  [
    "dmae-vit-b-imagenet-pretrain",
    {
      model: { width: 768, depth: 12, heads: 12, patchSize: 16 },
      normPixLoss: true,
      maskRatio: 0.75,
      sigma: 0.25,
      epochs: 1100,
      warmupEpochs: 40,
      baseLearningRate: 1.5e-4,
      weightDecay: 0.05,
    },
    4096,
    8,
  ],
  [
    "dmae-vit-l-imagenet-pretrain",
    {
      model: { width: 1024, depth: 24, heads: 16, patchSize: 16 },
      normPixLoss: true,
      maskRatio: 0.75,
      sigma: 0.25,
      epochs: 1600,
      warmupEpochs: 40,
      baseLearningRate: 1.5e-4,
      weightDecay: 0.05,
    },
    4096,
    8,
  ],
  [
    "dmae-vit-b-cifar10-continued",
    {
      model: { width: 768, depth: 12, heads: 12, patchSize: 16 },
      normPixLoss: true,
      maskRatio: 0.75,
      sigma: 0.25,
      epochs: 50,
      warmupEpochs: 10,
      baseLearningRate: 5e-5,
      weightDecay: 0.05,
    },
    512,
    1,
  ],
];

it.each(commands)("%s is the official command", (name, options, effectiveBatch, devices) => {
  const recipe = pretrainRecipes[name];
  expect(recipe).toMatchObject(options);
  expect(recipe).toMatchObject({ minLearningRate: 0, beta1: 0.9, beta2: 0.95, region: "all" });
  expect(recipe.batchSize).toBe(64);
  expect(recipe.batchSize * recipe.accumulate).toBe(effectiveBatch);
  expect(recipe.accumulate / devices).toBe(8); // --accum_iter
});

it.each(Object.keys(pretrainRecipes) as PretrainRecipeName[])(
  "%s is whole, valid and frozen",
  (name) => {
    const recipe = pretrainRecipes[name];
    expect(recipe.name).toBe(name);
    expect(() => checkPretrainRecipe(recipe)).not.toThrow();
    const { sigma, ...config } = resolveDmaeConfig(recipe.model);
    expect(recipe.model).toEqual(config);
    expect([config.decoderWidth, config.decoderDepth, config.decoderHeads]).toEqual([512, 8, 16]);
    expect(config.inputSize).toBe(name.includes("cifar10") ? 32 : 224);
    expect(
      Object.isFrozen(recipe) &&
        Object.isFrozen(recipe.model) &&
        Object.isFrozen(recipe.model.mean),
    ).toBe(true);
  },
);

it("differs from the official run only where MAE does", () => {
  const {
    name: a,
    source: b,
    sigma,
    region,
    epochs,
    ...dmae
  } = pretrainRecipes["dmae-vit-b-imagenet-pretrain"];
  const { name: c, source: d, ...mae } = pretrainRecipes["mae-vit-b-imagenet-pretrain"];
  expect(mae).toEqual({ ...dmae, sigma: 0, region: "masked", epochs: 800 });
  expect([sigma, region, epochs]).toEqual([0.25, "all", 1100]);
});

it("pretrainRecipe takes a model by name, configuration or itself, with a decoder of its size", () => {
  const vit = createViT("vit_tiny_patch16");
  const built = pretrainRecipe({ model: vit }).model;
  expect(built).toEqual({ ...vit.config, decoderWidth: 96, decoderDepth: 1, decoderHeads: 3 });
  expect(pretrainRecipe({ model: vit.config }).model).toEqual(built);
  expect(pretrainRecipe({ model: "vit_tiny_patch16" }).model).toEqual(built);
  expect(pretrainRecipe({ model: "vit_base_patch16" }).model).not.toHaveProperty("decoderWidth");
  expect(resolveDmaeConfig(vit)).toEqual(resolveDmaeConfig("vit_tiny_patch16"));
  expect(() => pretrainRecipe({} as never)).toThrow("unknown model");
  for (const none of [undefined, null, 3])
    expect(() => resolveDmaeConfig(none as never)).toThrow("createDmae: options must be an object");
});

it("rejects fields outside their ranges, by name", () => {
  const recipe = pretrainRecipes["dmae-vit-b-imagenet-pretrain"];
  const check = (change: object) => () => checkPretrainRecipe({ ...recipe, ...change });
  expect(check({ epochs: 0 })).toThrow("pretrain: epochs must be a positive integer, got 0");
  expect(check({ maskRatio: 1 })).toThrow("pretrain: maskRatio must lie in [0, 1), got 1");
  expect(check({ weightDecay: Number.NaN })).toThrow("weightDecay must be a number, 0 or more");
  expect(check({ sigma: -1 })).toThrow("pretrain: sigma must be a number, 0 or more, got -1");
  expect(check({ region: "visible" })).toThrow('pretrain: region must be "all" or "masked"');
  expect(check({ region: "masked", maskRatio: 0 })).toThrow("needs a maskRatio above 0");
});
