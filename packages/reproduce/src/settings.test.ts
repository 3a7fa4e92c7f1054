import { key } from "@dmae/core";
import type { SgdRecipe } from "@dmae/finetune";
import { sgdSchedule } from "@dmae/finetune/tasks";
import { createDmae, type DmaeOptions } from "@dmae/pretrain";
import { createViT, type ViTConfig } from "@dmae/vit";
import { expect, test } from "vitest";
import { convert } from "./convert.ts";
import { findRecipe, readOptions } from "./options.ts";
import { parameterCount, planOf } from "./plan.ts";
import type { Recipe } from "./recipe.ts";
import { fromScratchWithSgd } from "./rivals.ts";
import { applySettings, changedFields } from "./settings.ts";
import { testRecipes } from "./testing/recipes.ts";

const cr = testRecipes.cr!;
const code = (fn: () => unknown) => {
  try {
    fn();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error("nothing was thrown");
};

test("a field is set by its path or its end, and the recipe itself stays", () => {
  const changed = applySettings(cr, [
    "epochs=2",
    "certification.n=50",
    "model.depth=1",
    'method={"name":"gaussian"}',
    "training.sigma=[0,0.75]",
  ]);
  expect(changed.training).toMatchObject({
    epochs: 2,
    method: { name: "gaussian" },
    sigma: [0, 0.75],
  });
  expect(changed.training.model).toHaveProperty("depth", 1);
  expect(changedFields(cr, changed)).toEqual([
    "certification.n: 1000 -> 50",
    "training.model.depth: 12 -> 1",
    "training.epochs: 50 -> 2",
    "training.sigma: 0.25 -> [0,0.75]",
    'training.method: {"name":"consistency","copies":2,"lambda":2,"mu":0.5,"mode":"default"} -> {"name":"gaussian"}',
  ]);
  expect(changedFields(cr, applySettings(cr, ["lambda=3"]))).toEqual([
    "training.method.lambda: 2 -> 3",
  ]);
  expect(changedFields(cr, applySettings(cr, ["model=vit_small_patch16"]))).toEqual([
    "training.model.width: 768 -> 384",
    "training.model.heads: 12 -> 6",
  ]);
  const named = { ...cr, training: { ...cr.training, model: "vit_base_patch16" } } as Recipe;
  expect(changedFields(named, cr)).toEqual([
    expect.stringMatching(/^training\.model: "vit_base_patch16" -> \{.+"width":768/),
  ]);
  const boosting = testRecipes.boosting!;
  const [whole, ...fields] = changedFields(boosting, applySettings(boosting, ["model=lenet"]));
  expect(whole).toMatch(/^training\.model: \{"name":"cifar_resnet110".+ -> \{"name":"lenet"/);
  expect(fields).toEqual([
    "training.model.width: 16 -> 20",
    "training.model.blocks: [18,18,18] -> []",
  ]);
  expect(cr.training.epochs).toBe(50);
  expect(Object.isFrozen(changed.training)).toBe(true);
});

test.each([
  ["epoch=2", "cr has no field epoch; the nearest are training.epochs"],
  ["batchSize=2", "batchSize could be certification.batchSize or training.batchSize"],
  ["epochs", "must read field=value"],
  ["epochs=many", "training.epochs must be a number like 50, got many"],
  ["name=x", "cr has no field name"],
])("--set %s is refused", (setting, message) => {
  const error = code(() => applySettings(cr, [setting]));
  expect(error.code).toBe("argument");
  expect(error.message).toContain(message);
});

test.each([
  [["--recpie", "x"], "there is no option --recpie; the nearest are --recipe"],
  [["--seed", "-1"], "--seed"],
  [["--workers", "1.5"], "--workers: must be a whole number of at least 0, got 1.5"],
  [["--seeds", ""], "--seeds: must be a whole number of at least 1, got nothing"],
  [["--shard", "8/8"], "shard: must read i/n"],
  [["--checkpoint-every", "0"], "--checkpoint-every: must be a positive number"],
])("%s is refused", (args, message) => {
  const error = code(() => readOptions(args));
  expect(error.code).toBe("argument");
  expect(error.message).toContain(message);
});

test("convert refuses a side that is no number", async () => {
  const work = convert(["--from", "nowhere", "--to", "nowhere", "--side", "32px"]);
  await expect(work).rejects.toThrow("--side: must be a whole number of at least 1, got 32px");
});

test("the precision is one of three, and float32 by itself", () => {
  expect(readOptions([]).precision).toBe("float32");
  expect(readOptions(["--precision", "bfloat16"]).precision).toBe("bfloat16");
  const error = code(() => readOptions(["--precision", "fp16"]));
  expect(error.message).toBe("--precision: must be float32, bfloat16, float16, got fp16");
});

test("an unknown recipe is answered with the nearest", () => {
  expect(code(() => findRecipe(testRecipes, "prob")).message).toContain("the nearest are probe");
  expect(code(() => findRecipe(testRecipes, "toString")).code).toBe("argument");
});

test("the plan counts parameters as the models have them", () => {
  const small = ["width=24", "depth=2", "heads=3", "patchSize=8", "imageSize=32"].map(
    (s) => `model.${s}`,
  );
  const classifier = applySettings(cr, [...small, "numClasses=7"]);
  const decoder = ["decoderWidth=16", "decoderDepth=3", "decoderHeads=4"].map((s) => `model.${s}`);
  const autoencoder = applySettings(testRecipes.pretraining!, [
    ...small,
    "inputSize=32",
    ...decoder,
  ]);
  const numbers = (tensors: Readonly<Record<string, { data: ArrayLike<number> }>>) =>
    Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);
  const vit = createViT(classifier.training.model as ViTConfig);
  expect(parameterCount(classifier)).toBe(numbers(vit.initHost(key(0))));
  const dmae = createDmae(autoencoder.training.model as DmaeOptions);
  expect(parameterCount(autoencoder)).toBe(numbers(dmae.initHost(key(0))));
});

const sgd = { learningRate: 0.01, momentum: 0.9, weightDecay: 1e-4, stepSize: 30, gamma: 0.1 };

/** The plan's learning rates of a training with SGD. */
async function plannedRates(change: Partial<SgdRecipe>, epochs: number): Promise<string> {
  const training = { ...cr.training, ...fromScratchWithSgd, epochs, sgd: { ...sgd, ...change } };
  const plan = await planOf({ ...cr, training } as Recipe, { from: undefined }, undefined);
  return /^learning rate +(.*)$/m.exec(plan)![1]!;
}

test.each([
  [{ steppedAt: "start" }, 90],
  [{ steppedAt: "end" }, 90],
  [{}, 61],
  [{}, 62],
  [{ dipInEpoch: 85 }, 90],
  [{ dipInEpoch: 0 }, 1],
] as const)(
  "the plan of SGD with %j says the rate of each of %i epochs",
  async (change, epochs) => {
    const planned = (await plannedRates(change, epochs)).split(", ").flatMap((text) => {
      const [, rate, first, last = first] = /^(\S+) in epochs? (\d+)(?: to (\d+))?$/.exec(text)!;
      return Array.from({ length: Number(last) - Number(first) + 1 }, () => rate);
    });
    const trained = sgdSchedule({ ...sgd, ...change });
    expect(planned).toEqual(
      Array.from({ length: epochs }, (_, epoch) => trained(epoch).toPrecision(3)),
    );
  },
);

test("the plan of SGD counts epochs from 1, and names eight rates at most", async () => {
  const rates = "0.0100 in epochs 1 to 31, 0.00100 in epochs 32 to 61, 0.000100 in epochs 62 to";
  expect(await plannedRates({}, 90)).toBe(`${rates} 90`);
  expect(await plannedRates({ dipInEpoch: 85 }, 90)).toBe(
    `${rates} 85, 0.0000100 in epoch 86, 0.000100 in epochs 87 to 90`,
  );
  const many = await plannedRates({ stepSize: 1, gamma: 0.5 }, 40);
  expect(many).toMatch(/^0\.0100 in epochs 1 to 2, 0\.00500 in epoch 3, .* in epoch 9, …$/);
});

test("the plan of the official pre-training has the official batch, steps and learning rate", async () => {
  const plan = await planOf(testRecipes.pretraining!, { from: undefined }, undefined);
  expect(plan).toContain("4,096 = 64 images x 64 micro-batches");
  expect(plan).toContain("20,018 an epoch"); // floor(1281167 / 64)
  expect(plan).toContain("312 an epoch, 343,200 in all"); // floor(20018 / 64), 1100 epochs
  expect(plan).toContain("0.00 after 0 epochs, 0.00240 after 40 epochs, "); // 1.5e-4 * 4096 / 256
  expect(plan).toContain("111.9 million"); // ViT-Base and a decoder of 8 blocks
});
