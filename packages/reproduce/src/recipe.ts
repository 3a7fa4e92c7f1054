import type { MethodSettings } from "@dmae/certified-training";
import type { ConvNetConfig } from "@dmae/convnet";
import type { FinetuneRecipe, LinearProbeRecipe } from "@dmae/finetune";
import type { PretrainRecipe } from "@dmae/pretrain";

/** Data sets of the paper. */
export type DatasetName = "imagenet" | "cifar10";

/** How the trained classifier is looked at before it is certified. */
export interface EvaluationSettings {
  /** How many validation images, evenly spread, have their clean and noisy accuracy measured; null for all. */
  readonly images: number | null;
  /** Noisy copies that vote on an image (radius-0 accuracy without a proof); 0 for no vote. */
  readonly votes: number;
  /** Every so many images are voted on. */
  readonly voteEvery: number;
}

/** Settings of CERTIFY (Cohen et al. 2019), all that decide its numbers. */
export interface CertificationSettings {
  /** Noise levels to certify at, each with a log of its own. */
  readonly sigmas: readonly number[];
  /** Noisy copies that select the class. */
  readonly n0: number;
  /** Noisy copies that estimate its probability. */
  readonly n: number;
  /** Probability that a certificate is wrong. */
  readonly alpha: number;
  /** Every so many images of the validation set, `floor(length / every)` of them. */
  readonly every: number;
  /** Abstain without estimating where the selected class is wrong, as the official script does. */
  readonly skipWrongGuess: boolean;
  /** Noisy images in a call of the classifier; has no effect on the result. */
  readonly batchSize: number;
  /** Radii of the table. */
  readonly radii: readonly number[];
}

/** One row of a table of the paper, or what a published log of another paper gives: certified accuracies. */
export interface PublishedAccuracy {
  /** Per cent by radius, the radius with two decimals: `{ "0.50": 69.6 }`. A radius without a number is absent. */
  readonly percent: Readonly<Record<string, number>>;
  /** Noise level of the certification; null where each number is the best over the noise levels. */
  readonly sigma: number | null;
  /** The paper's table, `Table 2`, or the log; after a colon, how its protocol differs from the recipe's. */
  readonly source: string;
}

/** What all recipes have. */
interface Common {
  /** Name on the command line. */
  readonly name: string;
  /** The row of the paper that it belongs to. */
  readonly paper: string;
  /** Data that it trains and certifies on. */
  readonly dataset: DatasetName;
  /** Recipe whose result it begins with, or null to begin afresh. */
  readonly startsFrom: string | null;
}

/** Pre-training, from fresh parameters or (`continue`) from a checkpoint. */
export interface PretrainingRecipe extends Common {
  readonly task: "pretrain" | "continue";
  /** Every field of the training. */
  readonly training: PretrainRecipe;
}

/** What recipes that end in a classifier have. */
interface ClassifierCommon extends Common {
  /** How it is evaluated. */
  readonly evaluation: EvaluationSettings;
  /** How it is certified. */
  readonly certification: CertificationSettings;
  /** The paper's rows for this classifier; empty where it reports none. */
  readonly published: readonly PublishedAccuracy[];
}

/** The training of a convolutional network of `@dmae/convnet`, every field written out. */
export interface ConvNetRecipe extends Omit<FinetuneRecipe, "model" | "method"> {
  /** The network, e.g. `createConvNet("resnet50").config`. */
  readonly model: ConvNetConfig;
  /** The training method of `@dmae/certified-training`, by name and settings. */
  readonly method: MethodSettings;
}

/** Several classifiers whose logits are added (Horváth et al. 2022, arXiv:2106.06946). */
export interface EnsembleSettings {
  /** Classifiers, each trained with a seed of its own. */
  readonly members: number;
  /** The other members are asked only where the first `consensus` disagree; `members` for no early stop. */
  readonly consensus: number;
}

/** Training under noise by any method, of a ViT (from a pre-trained encoder) or a convolutional network, then certification. */
export interface FinetuningRecipe extends ClassifierCommon {
  readonly task: "finetune";
  /** Every field of the training. */
  readonly training: FinetuneRecipe | ConvNetRecipe;
  /** Trains and certifies an ensemble; left out or null for one classifier. */
  readonly ensemble?: EnsembleSettings | null;
}

/** Linear probing, then certification. */
export interface ProbingRecipe extends ClassifierCommon {
  readonly task: "probe";
  /** Every field of the training. */
  readonly training: LinearProbeRecipe;
}

/** A recipe that ends in a classifier. */
export type ClassifierRecipe = FinetuningRecipe | ProbingRecipe;

/** One row of the paper: data, training, evaluation, certification, the numbers to expect. */
export type Recipe = PretrainingRecipe | ClassifierRecipe;

/** Stages of a run, in order. */
export type Stage =
  | "pretrain"
  | "continue"
  | "finetune"
  | "probe"
  | "evaluate"
  | "certify"
  | "report";

/** True for a recipe that ends in a classifier. */
export const isClassifierRecipe = (recipe: Recipe): recipe is ClassifierRecipe =>
  recipe.task === "finetune" || recipe.task === "probe";

/** The ensemble that a recipe trains; undefined for one classifier. */
export const ensembleOf = (recipe: Recipe): EnsembleSettings | undefined =>
  (recipe.task === "finetune" && recipe.ensemble) || undefined;

/** The stages of a recipe; of an ensemble only the certificates are measured. */
export function stagesOf(recipe: Recipe): readonly Stage[] {
  if (!isClassifierRecipe(recipe)) return [recipe.task, "report"];
  return [recipe.task, ...(ensembleOf(recipe) ? [] : ["evaluate" as const]), "certify", "report"];
}
