// The paper's questions at a size that minutes on two cores can answer: the quickstart's ViT (16 patches of 7x7), four epochs of
// pre-training and two of fine-tuning unless the question is about them. Each row differs from the base in what its name says.
import { linearProbeRecipe } from "@dmae/finetune";
import type { PretrainRecipe } from "@dmae/pretrain";
import { finetuning, plain, pretraining, type Row } from "./recipes.ts";

/** Two rows of which the paper's finding puts one first. */
export interface Comparison {
  /** Name of the row that should have the larger average certified radius. */
  readonly better: string;
  /** Name of the other one. */
  readonly worse: string;
  /** Noise of the certifications; default 0.25. */
  readonly sigma?: number;
}

/** A question of the paper, and the rows whose comparison answers it. */
export interface Question {
  /** The question, with the table that asks it. */
  readonly title: string;
  /** What the paper found or chose, in a sentence. */
  readonly paper: string;
  /** What that means for our rows. */
  readonly comparisons: readonly Comparison[];
  /** Names of {@link questionRows}, in the order of the table. */
  readonly rows: readonly string[];
  /** Noise of the certifications; default 0.25 alone. */
  readonly sigmas?: readonly number[];
}

/** How the rows are certified: every 20th test image, 500, with 1,000 noisy copies. */
export const questionSettings = { every: 20, n: 1000 };

const base = pretraining("q-dmae", 4);
const variant = (name: string, fields: Partial<PretrainRecipe>): PretrainRecipe => ({
  ...base,
  ...fields,
  name,
});
const mae = variant("q-mae", { sigma: 0, region: "masked" });
const size = { epochs: 2, lambda: 2, shift: 0 };

const row = (name: string, label: string, from: PretrainRecipe | null): Row => ({
  name,
  label,
  pretraining: from,
  finetuning: finetuning(name, 0.25, size),
  sigmas: [0.25],
});

/** The same, fine-tuned on images as they are, none of them mirrored. */
const withoutFlips = (name: string, label: string): Row => ({
  ...row(name, label, base),
  finetuning: finetuning(name, 0.25, { ...size, flip: 0 }),
});

/** The same, fine-tuned with cross entropy under noise alone. */
const withoutConsistency = (name: string, label: string, from: PretrainRecipe | null): Row => {
  const { finetuning: recipe, ...rest } = row(name, label, from);
  return { ...rest, finetuning: { ...recipe!, method: { name: "gaussian", copies: 1 } } };
};

/** One classifier, certified under two levels of noise. */
const withSigma = (
  name: string,
  label: string,
  sigma: number | readonly [number, number],
): Row => ({
  ...row(name, label, base),
  finetuning: finetuning(name, sigma, size),
  sigmas: [0.25, 0.5],
});

const probing = (name: string, label: string, from: PretrainRecipe): Row => ({
  name,
  label,
  pretraining: from,
  probing: {
    ...linearProbeRecipe({ model: { ...plain, numClasses: 10, globalPool: true }, epochs: 8 }),
    name,
    source: "the method of the paper's Table 4, scaled down",
    warmupEpochs: 1,
    batchSize: 512,
    augmentation: base.augmentation,
  },
  sigmas: [0.25],
});

/** The rows of every question. */
export const questionRows: readonly Row[] = [
  withSigma("q-dmae-cr", "DMAE, CR", 0.25),
  row("q-mae-cr", "MAE, CR", mae),
  row("q-scratch-cr", "no pre-training, CR", null),
  withoutConsistency("q-dmae-rs", "DMAE, RS", base),
  withoutConsistency("q-mae-rs", "MAE, RS", mae),
  withoutConsistency("q-scratch-rs", "no pre-training, RS", null),
  probing("q-dmae-probe", "DMAE, linear probe", base),
  probing("q-mae-probe", "MAE, linear probe", mae),
  ...[1, 12].map((epochs) =>
    row(
      `q-epochs-${epochs}`,
      epochs === 1 ? "1 epoch of pre-training" : `${epochs} epochs of pre-training`,
      pretraining(`q-dmae-epochs-${epochs}`, epochs),
    ),
  ),
  withSigma("q-sigma-0.50", "fine-tuned at sigma 0.5", 0.5),
  withSigma("q-sigma-any", "fine-tuned with sigma in [0, 0.75]", [0, 0.75]),
  row("q-region-masked", "loss on masked patches", variant("q-dmae-masked", { region: "masked" })),
  ...[0.5, 0.9].map((maskRatio) =>
    row(
      `q-mask-${maskRatio}`,
      `mask ratio ${maskRatio}`,
      variant(`q-dmae-mask-${maskRatio}`, { maskRatio }),
    ),
  ),
  ...[0.1, 0.5].map((sigma) =>
    row(
      `q-pretrain-sigma-${sigma}`,
      `pre-trained at sigma ${sigma}`,
      variant(`q-dmae-sigma-${sigma}`, { sigma }),
    ),
  ),
  withoutFlips("q-no-flip", "fine-tuned without mirrored images"),
];

const over = (better: string, ...worse: readonly string[]): Comparison[] =>
  worse.map((name) => ({ better, worse: name }));

/** The questions in the order of the report. */
export const questions: readonly Question[] = [
  {
    title: "Does denoising pre-training help? (Table 9; and RS against CR, Table 6)",
    paper: `The paper, on ImageNet at sigma 0.5, certified accuracy at radius 1: 53.2 % after DMAE and 51.5 % after
MAE with RS (noise alone), 57.9 % and 55.9 % with CR (consistency); with ViT-L, 64.6 % with CR and 59.3 %
with RS.`,
    rows: [
      ...["q-scratch-rs", "q-mae-rs", "q-dmae-rs"],
      ...["q-scratch-cr", "q-mae-cr", "q-dmae-cr"],
    ],
    comparisons: [
      ...over("q-dmae-rs", "q-mae-rs", "q-scratch-rs"),
      ...over("q-dmae-cr", "q-mae-cr", "q-scratch-cr", "q-dmae-rs"),
    ],
  },
  {
    title: "What do the frozen features hold? (Table 4)",
    paper: `The paper, on ImageNet at sigma 0.25, certified accuracy at radius 0 and 0.5: 58.7 % and 45.3 % after
DMAE, 32.5 % and 13.3 % after MAE.`,
    rows: ["q-mae-probe", "q-dmae-probe"],
    comparisons: over("q-dmae-probe", "q-mae-probe"),
  },
  {
    title: "Does longer pre-training help? (Table 5)",
    paper: `The paper, on ImageNet: 68.8 % after 700 epochs and 69.6 % after 1,100 at sigma 0.25 and radius 0.5;
55.5 % and 57.9 % at sigma 0.5 and radius 1.`,
    rows: ["q-epochs-1", "q-dmae-cr", "q-epochs-12"],
    comparisons: [...over("q-dmae-cr", "q-epochs-1"), ...over("q-epochs-12", "q-dmae-cr")],
  },
  {
    title: "Can one model serve several levels of noise? (Table 10)",
    paper: `The paper, on CIFAR-10, certified accuracy at radius 0.5: at sigma 0.25, 65.3 % with a model of that sigma
and 66.1 % with one for sigma in [0, 0.75]; at sigma 0.5, 57.3 % and 58.5 %. A model of the other sigma has
54.1 % and 26.8 %.`,
    rows: ["q-dmae-cr", "q-sigma-0.50", "q-sigma-any"],
    sigmas: [0.25, 0.5],
    comparisons: [
      ...over("q-sigma-any", "q-dmae-cr", "q-sigma-0.50"),
      ...over("q-sigma-any", "q-sigma-0.50", "q-dmae-cr").map((pair) => ({ ...pair, sigma: 0.5 })),
    ],
  },
  {
    title: "Should the loss cover all patches?",
    paper: `The paper chose all patches, without a table on it.`,
    rows: ["q-region-masked", "q-dmae-cr"],
    comparisons: over("q-dmae-cr", "q-region-masked"),
  },
  {
    title: "How much should be masked?",
    paper: `The paper chose 75 %, without a table on it.`,
    rows: ["q-mask-0.5", "q-dmae-cr", "q-mask-0.9"],
    comparisons: over("q-dmae-cr", "q-mask-0.5", "q-mask-0.9"),
  },
  {
    title: "How much noise in pre-training?",
    paper: `The paper chose sigma 0.25 for all of its rows, without a table on it.`,
    rows: ["q-mae-cr", "q-pretrain-sigma-0.1", "q-dmae-cr", "q-pretrain-sigma-0.5"],
    comparisons: over("q-dmae-cr", "q-pretrain-sigma-0.1", "q-pretrain-sigma-0.5"),
  },
  {
    title: "Should half of the training images be mirrored?",
    paper: `The paper mirrors them in pre-training and fine-tuning, without a table on it.`,
    rows: ["q-dmae-cr", "q-no-flip"],
    comparisons: over("q-dmae-cr", "q-no-flip"),
  },
];
