import type { MethodSettings } from "@dmae/certified-training";
import { type ConvNetName, createConvNet } from "@dmae/convnet";
import type { FinetuneRecipe, SgdRecipe } from "@dmae/finetune";
import type {
  CertificationSettings,
  ConvNetRecipe,
  EnsembleSettings,
  EvaluationSettings,
  FinetuningRecipe,
  PublishedAccuracy,
} from "./recipe.ts";

/** Noise levels of the paper, as names of recipes have them. */
export const rivalSigmas = ["0.25", "0.50", "1.00"] as const;

/** One of {@link rivalSigmas}. */
export type RivalSigma = (typeof rivalSigmas)[number];

/** A value for each of {@link rivalSigmas}. */
export const bySigma = <T>(...[quarter, half, one]: readonly [T, T, T]) => ({
  "0.25": quarter,
  "0.50": half,
  "1.00": one,
});

/** What a network trained from scratch with SGD leaves off: mixing, stochastic depth, AdamW and its cosine. */
export const fromScratchWithSgd = {
  sigmaPer: "image",
  labelSmoothing: 0,
  mixup: 0,
  cutmix: 0,
  mixProbability: 0,
  switchProbability: 0,
  dropPath: 0,
  layerDecay: 1,
  warmupEpochs: 0,
  accumulate: 1,
  baseLearningRate: 0, // `sgd` has the learning rate, and the other fields of the optimizer
  minLearningRate: 0,
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.999,
  clipNorm: null,
  emaDecay: null,
} as const satisfies Partial<FinetuneRecipe>;

/** A method to compare DMAE with, and how it was trained. */
export interface Rival {
  /** Name in a recipe's `paper`. */
  readonly title: string;
  /** False for one that the paper's tables leave out. */
  readonly isInPaper?: boolean;
  /** Noise levels with settings of its own; default: all. */
  readonly sigmas?: readonly RivalSigma[];
  /** Its training at a noise level. */
  training(sigma: RivalSigma): {
    /** Where the values come from. */
    readonly source: string;
    readonly method: MethodSettings;
    readonly epochs: number;
    readonly batchSize: number;
    readonly sgd: SgdRecipe;
  };
  /** Trains and certifies several of it. */
  readonly ensemble?: EnsembleSettings;
}

/** The rivals of one data set: one network, one way to evaluate and certify. */
export interface RivalFamily {
  readonly dataset: FinetuningRecipe["dataset"];
  /** The network in the names of the recipes, e.g. `resnet50-imagenet`, and in words. */
  readonly network: { readonly name: string; readonly title: string };
  /** Its network, with the images and classes that it has by default. */
  readonly model: ConvNetName;
  readonly augmentation: ConvNetRecipe["augmentation"];
  /** The paper's tables that have them, e.g. `Table 3`. */
  readonly tables: string;
  /** The methods by the word in a recipe's name. */
  readonly methods: Readonly<Record<string, Rival>>;
  readonly evaluation: EvaluationSettings;
  certification(sigma: RivalSigma): CertificationSettings;
  /** The paper's rows of a recipe, by its name without sigma. */
  published(recipe: string, sigma: RivalSigma): readonly PublishedAccuracy[];
}

/** A recipe for each method of a family at each of its noise levels. */
export const rivalRecipes = (family: RivalFamily): readonly FinetuningRecipe[] =>
  rivalSigmas.flatMap((sigma) =>
    Object.entries(family.methods)
      .filter(([, { sigmas = rivalSigmas }]) => sigmas.includes(sigma))
      .map(([method, rival]): FinetuningRecipe => {
        const { dataset, network, model, augmentation, evaluation } = family;
        const base = `${network.name}-${method}`;
        const name = `${base}-${sigma}`;
        const shared = { model: createConvNet(model).config, ...fromScratchWithSgd, augmentation };
        return {
          name,
          paper: `${network.title}, ${rival.title}, sigma ${sigma} (${rival.isInPaper === false ? "not in the paper" : family.tables})`,
          dataset,
          task: "finetune",
          startsFrom: null,
          training: { name, ...shared, ...rival.training(sigma), sigma: Number(sigma) },
          ...(rival.ensemble ? { ensemble: rival.ensemble } : {}),
          evaluation,
          certification: family.certification(sigma),
          published: family.published(base, sigma),
        };
      }),
  );
