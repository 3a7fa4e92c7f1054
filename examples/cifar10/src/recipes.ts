import { finetuneRecipes } from "@dmae/finetune";
import { pretrainRecipes } from "@dmae/pretrain";
import type {
  CertificationSettings,
  EvaluationSettings,
  FinetuningRecipe,
  PretrainingRecipe,
  PublishedAccuracy,
  Recipe,
} from "@dmae/reproduce";
import { deepFreeze } from "@dmae/train/tasks";

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

const table3 = (percent: PublishedAccuracy["percent"]): PublishedAccuracy => ({
  percent,
  bestOverSigma: true,
  source:
    "Table 3 of the paper, as shown in README.md of quanlin-wu/dmae (assets/cifar10.png, at 782f139427)",
});
const direct = table3({ "0.25": 79.2, "0.50": 64.6, "0.75": 47.3, "1.00": 36.1 });
const continued = table3({ "0.25": 80.8, "0.50": 67.1, "0.75": 49.7, "1.00": 37.7 });

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
  published: PublishedAccuracy | null,
): FinetuningRecipe {
  const name = `${facts.name}-${method}-${sigma}`;
  const how = method === "cr" ? "consistency regularisation" : "Gaussian augmentation alone";
  return {
    name,
    paper: `${facts.paper}, ${how}, sigma ${sigma}${published ? " (Table 3)" : ""}`,
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

const all: readonly Recipe[] = [
  pretraining,
  ...sigmas.flatMap((sigma) => [
    finetuning("cr", sigma, fromImagenet, direct),
    finetuning("rs", sigma, fromImagenet, null),
    finetuning("cr", sigma, fromContinued, continued),
    finetuning("rs", sigma, fromContinued, null),
  ]),
];

/** The paper's CIFAR-10 rows by name, every field written out; frozen. */
export const recipes: Readonly<Record<string, Recipe>> = deepFreeze(
  Object.fromEntries(all.map((recipe) => [recipe.name, recipe])),
);
