import { type FinetuneRecipe, finetuneRecipes, linearProbeRecipes } from "@dmae/finetune";
import { type PretrainRecipeName, pretrainRecipes } from "@dmae/pretrain";
import type {
  CertificationSettings,
  EvaluationSettings,
  FinetuningRecipe,
  PretrainingRecipe,
  ProbingRecipe,
  Recipe,
} from "@dmae/reproduce";
import { deepFreeze } from "@dmae/train/tasks";
import { publishedFor } from "./published.ts";
import { rivals } from "./rivals.ts";

/** Noise levels of the paper. */
const sigmas = ["0.25", "0.50", "1.00"] as const;
type Sigma = (typeof sigmas)[number];

/** The official script looks at the vote of 100 copies on every 50th image (`evaluate_radius_0` of engine_finetune.py). */
const evaluation: EvaluationSettings = { images: null, votes: 100, voteEvery: 50 };

/** certify.py of quanlin-wu/dmae (at 782f139427) and `certify_evaluate_dist`: n0 100, n 10,000, alpha 0.001, every 50th image. */
const certification = (sigma: number): CertificationSettings => ({
  sigmas: [sigma],
  n0: 100,
  n: 10_000,
  alpha: 0.001,
  every: 50,
  skipWrongGuess: true,
  batchSize: 100, // official: 1000; has no effect on the numbers
  radii: [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3],
});

/** The rivals' papers: n 100,000 on every 100th image, every vote counted. */
const rivalCertification = (sigma: Sigma): CertificationSettings => ({
  ...certification(Number(sigma)),
  n: 100_000,
  every: 100,
  skipWrongGuess: false,
});

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

/** A fine-tuning under another name: another encoder. */
function finetuning(
  base: string,
  sigma: Sigma,
  training: FinetuneRecipe,
  facts: Pick<FinetuningRecipe, "paper" | "startsFrom">,
): FinetuningRecipe {
  const name = `${base}-${sigma}`;
  const source = sourceOf(training.source!, facts.startsFrom);
  return {
    name,
    ...facts,
    dataset: "imagenet",
    task: "finetune",
    training: { ...training, name, source },
    evaluation,
    certification: certification(Number(sigma)),
    published: publishedFor(base, sigma),
  };
}

function probing(
  base: string,
  sigma: Sigma,
  facts: Pick<ProbingRecipe, "paper" | "startsFrom">,
): ProbingRecipe {
  const recipe = linearProbeRecipes[`dmae-vit-b-imagenet-probe-${sigma}`];
  const name = `${base}-${sigma}`;
  const source = sourceOf(recipe.source!, facts.startsFrom);
  return {
    name,
    ...facts,
    dataset: "imagenet",
    task: "probe",
    training: { ...recipe, name, source },
    evaluation,
    certification: certification(Number(sigma)),
    published: publishedFor(base, sigma),
  };
}

function atSigma(sigma: Sigma): readonly Recipe[] {
  const cr = finetuneRecipes[`dmae-vit-b-imagenet-cr-${sigma}`];
  const rs = finetuneRecipes[`dmae-vit-b-imagenet-rs-${sigma}`];
  const largeCr = finetuneRecipes[`dmae-vit-l-imagenet-cr-${sigma}`];
  const largeRs = finetuneRecipes[`dmae-vit-l-imagenet-rs-${sigma}`];
  const regularised = `consistency regularisation, sigma ${sigma}`;
  const augmented = `Gaussian augmentation alone, sigma ${sigma}`;
  const table9 = sigma === "0.50" ? " (Table 9)" : "";
  const make = (base: string, training: FinetuneRecipe, startsFrom: string, paper: string) =>
    finetuning(base, sigma, training, { startsFrom, paper });
  return [
    make("dmae-vit-b-imagenet-cr", cr, dmae, `ViT-B, ${regularised} (Tables 1, 2)`),
    make("dmae-vit-b-imagenet-rs", rs, dmae, `ViT-B, ${augmented}${table9}`),
    make("dmae-vit-l-imagenet-cr", largeCr, dmaeLarge, `ViT-L, ${regularised} (Tables 1, 2, 6)`),
    make("dmae-vit-l-imagenet-rs", largeRs, dmaeLarge, `ViT-L, ${augmented} (Table 6)`),
    make(
      "dmae-vit-b-700-imagenet-cr",
      cr,
      dmae700,
      `ViT-B pre-trained for 700 epochs, ${regularised} (Table 5)`,
    ),
    make("mae-vit-b-imagenet-cr", cr, mae, `baseline: MAE ViT-B, ${regularised}${table9}`),
    make("mae-vit-b-imagenet-rs", rs, mae, `baseline: MAE ViT-B, ${augmented}${table9}`),
    probing("dmae-vit-b-imagenet-probe", sigma, {
      startsFrom: dmae,
      paper: `linear probe of DMAE ViT-B, sigma ${sigma} (Table 4)`,
    }),
    probing("mae-vit-b-imagenet-probe", sigma, {
      startsFrom: mae,
      paper: `baseline: linear probe of MAE ViT-B, sigma ${sigma} (Table 4)`,
    }),
  ];
}

const all: readonly Recipe[] = [
  pretraining(dmae, "pre-training of DMAE ViT-B (Table 7)"),
  pretraining(dmae700, "pre-training of DMAE ViT-B, 700 epochs (Table 5)"),
  pretraining(dmaeLarge, "pre-training of DMAE ViT-L (Table 7)"),
  pretraining(mae, "baseline: pre-training of MAE ViT-B"),
  ...sigmas.flatMap(atSigma),
  ...rivals(evaluation, rivalCertification),
];

/** The paper's ImageNet rows by name, every field written out; frozen. */
export const recipes: Readonly<Record<string, Recipe>> = deepFreeze(
  Object.fromEntries(all.map((recipe) => [recipe.name, recipe])),
);
