import { type FinetuneRecipe, finetuneRecipes, linearProbeRecipes } from "@dmae/finetune";
import { type PretrainRecipeName, pretrainRecipes } from "@dmae/pretrain";
import type {
  CertificationSettings,
  EvaluationSettings,
  FinetuningRecipe,
  PretrainingRecipe,
  ProbingRecipe,
  PublishedAccuracy,
  Recipe,
} from "@dmae/reproduce";
import { deepFreeze } from "@dmae/train/tasks";

/** Noise levels of the paper. */
const sigmas = ["0.25", "0.50", "1.00"] as const;
type Sigma = (typeof sigmas)[number];

/** The official script looks at the vote of 100 copies on every 50th image (`evaluate_radius_0` of engine_finetune.py). */
const evaluation: EvaluationSettings = { images: null, votes: 100, voteEvery: 50 };

/** certify.py of quanlin-wu/dmae (at 782f139427) and `certify_evaluate_dist`: n0 100, n 10,000, alpha 0.001, every 50th image. */
const certification = (...levels: readonly number[]): CertificationSettings => ({
  sigmas: levels,
  n0: 100,
  n: 10_000,
  alpha: 0.001,
  every: 50,
  skipWrongGuess: true,
  batchSize: 100, // official: 1000; has no effect on the numbers
  radii: [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3],
});

const table1 = (percent: PublishedAccuracy["percent"]): PublishedAccuracy => ({
  percent,
  bestOverSigma: true,
  source:
    "Table 1 of the paper, as shown in README.md of quanlin-wu/dmae (assets/imagenet.png, at 782f139427)",
});
const base = table1({ "0.50": 69.6, "1.00": 57.9, "1.50": 47.8, "2.00": 35.4, "3.00": 22.5 });
const large = table1({ "0.50": 73.6, "1.00": 64.6, "1.50": 53.7, "2.00": 41.5, "3.00": 27.5 });

const [dmae, dmae700, dmaeLarge, mae] = [
  "dmae-vit-b-imagenet-pretrain",
  "dmae-vit-b-imagenet-pretrain-700",
  "dmae-vit-l-imagenet-pretrain",
  "mae-vit-b-imagenet-pretrain",
] as const;

const pretraining = (name: PretrainRecipeName, paper: string): PretrainingRecipe => ({
  name,
  paper,
  dataset: "imagenet",
  task: "pretrain",
  startsFrom: null,
  training: pretrainRecipes[name],
});

/** The official commands begin with the two published encoders; other rows say what they begin with. */
const sourceOf = (source: string, startsFrom: string | null) =>
  startsFrom === dmae || startsFrom === dmaeLarge
    ? source
    : `${source}, begun with ${startsFrom}; no official command`;

/** A fine-tuning under another name: another encoder, or another sigma. */
function finetuning(
  training: FinetuneRecipe,
  facts: Pick<FinetuningRecipe, "name" | "paper" | "startsFrom" | "published">,
  levels: readonly number[],
): FinetuningRecipe {
  return {
    ...facts,
    dataset: "imagenet",
    task: "finetune",
    training: {
      ...training,
      name: facts.name,
      source: sourceOf(training.source!, facts.startsFrom),
    },
    evaluation,
    certification: certification(...levels),
  };
}

function probing(name: string, sigma: Sigma, startsFrom: string, paper: string): ProbingRecipe {
  const recipe = linearProbeRecipes[`dmae-vit-b-imagenet-probe-${sigma}`];
  return {
    name,
    paper,
    dataset: "imagenet",
    task: "probe",
    startsFrom,
    training: {
      ...recipe,
      name,
      source: sourceOf(recipe.source!, startsFrom),
    },
    evaluation,
    certification: certification(Number(sigma)),
    published: null,
  };
}

function atSigma(sigma: Sigma): readonly Recipe[] {
  const cr = finetuneRecipes[`dmae-vit-b-imagenet-cr-${sigma}`];
  const rs = finetuneRecipes[`dmae-vit-b-imagenet-rs-${sigma}`];
  const level = [Number(sigma)];
  const make = (
    training: FinetuneRecipe,
    name: string,
    startsFrom: string,
    paper: string,
    published: PublishedAccuracy | null = null,
  ) => finetuning(training, { name: `${name}-${sigma}`, paper, startsFrom, published }, level);
  return [
    make(
      cr,
      "dmae-vit-b-imagenet-cr",
      dmae,
      `ViT-B, consistency regularisation, sigma ${sigma} (Table 1)`,
      base,
    ),
    make(rs, "dmae-vit-b-imagenet-rs", dmae, `ViT-B, Gaussian augmentation alone, sigma ${sigma}`),
    make(
      finetuneRecipes[`dmae-vit-l-imagenet-rs-${sigma}`],
      "dmae-vit-l-imagenet-rs",
      dmaeLarge,
      `ViT-L, sigma ${sigma} (Table 1; the official command has no consistency regularisation)`,
      large,
    ),
    make(
      cr,
      "dmae-vit-b-700-imagenet-cr",
      dmae700,
      `ViT-B pre-trained for 700 epochs, consistency regularisation, sigma ${sigma}`,
    ),
    make(
      cr,
      "mae-vit-b-imagenet-cr",
      mae,
      `baseline: MAE ViT-B, consistency regularisation, sigma ${sigma}`,
    ),
    make(
      rs,
      "mae-vit-b-imagenet-rs",
      mae,
      `baseline: MAE ViT-B, Gaussian augmentation alone, sigma ${sigma}`,
    ),
    probing(
      `dmae-vit-b-imagenet-probe-${sigma}`,
      sigma,
      dmae,
      `linear probe of DMAE ViT-B, sigma ${sigma}`,
    ),
    probing(
      `mae-vit-b-imagenet-probe-${sigma}`,
      sigma,
      mae,
      `baseline: linear probe of MAE ViT-B, sigma ${sigma}`,
    ),
  ];
}

const oneForAll = "dmae-vit-b-imagenet-cr-0-0.75";
const all: readonly Recipe[] = [
  pretraining(dmae, "pre-training of DMAE ViT-B (Table 7)"),
  pretraining(dmae700, "pre-training of DMAE ViT-B, 700 epochs"),
  pretraining(dmaeLarge, "pre-training of DMAE ViT-L (Table 7)"),
  pretraining(mae, "baseline: pre-training of MAE ViT-B"),
  ...sigmas.flatMap(atSigma),
  finetuning(
    {
      ...finetuneRecipes["dmae-vit-b-imagenet-cr-0.50"],
      source:
        "FINETUNE.md, ViT-Base on ImageNet, with sigma drawn from [0, 0.75] for each image; no official command",
      sigma: [0, 0.75],
    },
    {
      name: oneForAll,
      paper: "one ViT-B for all sigma in [0, 0.75]",
      startsFrom: dmae,
      published: null,
    },
    [0.25, 0.5, 0.75],
  ),
];

/** The paper's ImageNet rows by name, every field written out; frozen. */
export const recipes: Readonly<Record<string, Recipe>> = deepFreeze(
  Object.fromEntries(all.map((recipe) => [recipe.name, recipe])),
);
