import { finetuneRecipes } from "@dmae/finetune";
import { pretrainRecipes } from "@dmae/pretrain";
import type {
  CertificationSettings,
  EvaluationSettings,
  FinetuningRecipe,
  PretrainingRecipe,
  Recipe,
} from "@dmae/reproduce";
import { deepFreeze } from "@dmae/train/tasks";
import { publishedFor, table10 } from "./published.ts";
import { rivals } from "./rivals.ts";

/** Noise levels of the paper. */
const sigmas = ["0.25", "0.50", "1.00"] as const;
type Sigma = (typeof sigmas)[number];

/** finetune_cifar10.py looks at the vote of 100 copies on every 25th image after training. */
const evaluation: EvaluationSettings = { images: null, votes: 100, voteEvery: 25 };

/** FINETUNE.md of quanlin-wu/dmae (at 782f139427), certify_cifar10.py: all images, n 100,000; n0 100 and alpha 0.001 in engine_finetune.py. */
const certification = (sigma: Sigma): CertificationSettings => ({
  sigmas: [Number(sigma)],
  n0: 100,
  n: 100_000,
  alpha: 0.001,
  every: 1,
  skipWrongGuess: true,
  batchSize: 100, // official: 1000; has no effect on the numbers
  radii: [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3],
});

const imagenetPretraining = "dmae-vit-b-imagenet-pretrain";
const continuedName = "dmae-vit-b-cifar10-continued";

const pretraining: PretrainingRecipe = {
  name: continuedName,
  paper: "continued pre-training of DMAE ViT-B on CIFAR-10",
  dataset: "cifar10",
  task: "continue",
  startsFrom: imagenetPretraining,
  training: pretrainRecipes[continuedName],
};

function finetuning(
  method: "cr" | "rs",
  sigma: Sigma,
  facts: { readonly name: string; readonly startsFrom: string; readonly paper: string },
): FinetuningRecipe {
  const base = `${facts.name}-${method}`;
  const name = `${base}-${sigma}`;
  const how = method === "cr" ? "consistency regularisation" : "Gaussian augmentation alone";
  const published = publishedFor(base, sigma);
  return {
    name,
    paper: `${facts.paper}, ${how}, sigma ${sigma}${published.length > 0 ? " (Table 3)" : ""}`,
    dataset: "cifar10",
    task: "finetune",
    startsFrom: facts.startsFrom,
    training: { ...finetuneRecipes[`dmae-vit-b-cifar10-${method}-${sigma}`], name },
    evaluation,
    certification: certification(sigma),
    published,
  };
}

const fromImagenet = {
  name: "dmae-vit-b-cifar10",
  startsFrom: imagenetPretraining,
  paper: "ViT-B",
};
const fromContinued = {
  name: continuedName,
  startsFrom: continuedName,
  paper: "ViT-B after continued pre-training",
};

/**
 * Table 10: one model for several noise levels. The paper does not say which encoder it begins with; its row at sigma 0.25 is
 * above Table 3's direct one, so that it is taken to be the continued one.
 */
const oneForAll: FinetuningRecipe = {
  ...finetuning("cr", "0.50", fromContinued),
  name: `${continuedName}-cr-0-0.75`,
  paper: "one ViT-B for all sigma in [0, 0.75] (Table 10)",
  training: {
    ...finetuneRecipes["dmae-vit-b-cifar10-cr-0.50"],
    name: `${continuedName}-cr-0-0.75`,
    source:
      "FINETUNE.md, ViT-Base on CIFAR-10, with sigma drawn from [0, 0.75] for each image; no official command",
    sigma: [0, 0.75],
  },
  certification: { ...certification("0.25"), sigmas: [0.25, 0.5], n: 10_000, every: 10 },
  published: table10.oneForAll,
};

const all: readonly Recipe[] = [
  pretraining,
  ...sigmas.flatMap((sigma) => [
    finetuning("cr", sigma, fromImagenet),
    finetuning("rs", sigma, fromImagenet),
    finetuning("cr", sigma, fromContinued),
    finetuning("rs", sigma, fromContinued),
  ]),
  oneForAll,
  ...rivals(evaluation, certification),
];

/** The paper's CIFAR-10 rows by name, every field written out; frozen. */
export const recipes: Readonly<Record<string, Recipe>> = deepFreeze(
  Object.fromEntries(all.map((recipe) => [recipe.name, recipe])),
);
