import type {
  CertificationSettings,
  ConvNetRecipe,
  EvaluationSettings,
  FinetuningRecipe,
} from "@dmae/reproduce";
import { publishedFor } from "./published.ts";

// The methods that Table 3 compares DMAE with, on the ResNet-110 of locuslab/smoothing: each with the command or the
// defaults of its own code. Not among them: Diffusion, whose denoiser nobody trains on the way.

/** Noise levels of the paper. */
const sigmas = ["0.25", "0.50", "1.00"] as const;
type Sigma = (typeof sigmas)[number];

/** What a method changes in {@link shared}. */
type Facts = Pick<ConvNetRecipe, "source" | "method" | "epochs" | "batchSize" | "sgd">;

const {
  sgd,
  ...shared
}: Omit<ConvNetRecipe, "name" | "sigma" | keyof Facts> & {
  sgd: NonNullable<ConvNetRecipe["sgd"]>;
} = {
  model: "cifar_resnet110",
  config: { numClasses: 10 },
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
  baseLearningRate: 0, // sgd has the learning rate, and the other fields of the optimizer
  minLearningRate: 0,
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.999,
  clipNorm: null,
  sgd: { learningRate: 0.1, momentum: 0.9, weightDecay: 1e-4, stepSize: 50, gamma: 0.1 },
  emaDecay: null,
  augmentation: { resizedCropScale: null, cropPadding: 4, horizontalFlip: 0.5 },
};

const bySigma = <T>(...[quarter, half, one]: readonly [T, T, T]) => ({
  "0.25": quarter,
  "0.50": half,
  "1.00": one,
});

/** `train_consistency.py` in training.md of eth-sri/smoothing-ensembles: pieces of 256 / m images are one step each. */
const consistency = (sigma: Sigma): Facts => ({
  source: "training.md of eth-sri/smoothing-ensembles: train_consistency.py",
  method: {
    name: "consistency",
    copies: 2,
    lambda: bySigma(20, 10, 10)[sigma],
    mu: 0.5,
    mode: "default",
  },
  epochs: 150,
  batchSize: 128,
  sgd,
});

const methods: Readonly<Record<string, (sigma: Sigma) => Facts>> = {
  rs: () => ({
    source: "experiments.MD and the defaults of train.py of locuslab/smoothing",
    method: { name: "gaussian", copies: 1 },
    epochs: 90,
    batchSize: 400,
    sgd: { ...sgd, stepSize: 30, steppedAt: "start" },
  }),
  smoothadv: (sigma) => {
    const [copies, steps, radius] = bySigma([8, 10, 255], [2, 2, 512], [2, 10, 512])[sigma];
    return {
      source: "training.md of eth-sri/smoothing-ensembles: train_pgd.py; without more data",
      method: {
        name: "smoothAdv",
        copies: copies!,
        epsilon: radius! / 256,
        steps: steps!,
        warmupEpochs: 10,
        attack: "pgd",
      },
      epochs: 150,
      batchSize: 256 / copies!,
      sgd: { ...sgd, steppedAt: "start" },
    };
  },
  consistency,
  macer: (sigma) => ({
    source:
      "the defaults of main.py of RuntianZ/macer; lambda at 0.50 and 1.00 of section 4 of arXiv:2001.02378, not checked against the authors",
    method: {
      name: "macer",
      copies: 16,
      lambda: bySigma(12, 4, 12)[sigma],
      beta: 16,
      margin: 8,
      deferredUntilEpoch: bySigma(null, null, 199)[sigma], // until the first drop
    },
    epochs: 440,
    batchSize: 64,
    sgd: { ...sgd, learningRate: 0.01, weightDecay: 5e-4, stepSize: 200, steppedAt: "start" },
  }),
  smoothmix: (sigma) => ({
    source: "EXPERIMENTS.MD of jh-jeong/smoothmix, mix_step 0 of its two settings",
    method: {
      name: "smoothMix",
      copies: 2,
      steps: 4,
      alpha: bySigma(0.5, 1, 2)[sigma],
      mixStep: 0,
      eta: 5,
      warmupEpochs: 10, // parser default of --warmup
    },
    epochs: 150,
    batchSize: 128,
    sgd,
  }),
  boosting: (sigma) => ({
    ...consistency(sigma),
    source: "arXiv:2106.06946, ten models; training.md of eth-sri/smoothing-ensembles",
  }),
};

const titles: Readonly<Record<string, string>> = {
  rs: "RS (Cohen et al. 2019)",
  smoothadv: "SmoothAdv (Salman et al. 2019; the paper's number used more data)",
  consistency: "Consistency (Jeong & Shin 2020)",
  macer: "MACER (Zhai et al. 2020)",
  smoothmix: "SmoothMix (Jeong et al. 2021)",
  boosting: "Boosting, ten Consistency models (Horváth et al. 2022)",
};

/** The rival rows of Table 3; how they are evaluated and certified is the same for all. */
export const rivals = (
  evaluation: EvaluationSettings,
  certification: (sigma: Sigma) => CertificationSettings,
): readonly FinetuningRecipe[] =>
  sigmas.flatMap((sigma) =>
    Object.entries(methods).map(([method, factsAt]): FinetuningRecipe => {
      const base = `resnet110-cifar10-${method}`;
      const name = `${base}-${sigma}`;
      return {
        name,
        paper: `ResNet-110, ${titles[method]}, sigma ${sigma} (Table 3)`,
        dataset: "cifar10",
        task: "finetune",
        startsFrom: null,
        training: { name, ...shared, ...factsAt(sigma), sigma: Number(sigma) },
        ...(method === "boosting" ? { ensemble: { members: 10, consensus: 10 } } : {}),
        evaluation,
        certification: certification(sigma),
        published: publishedFor(base, sigma),
      };
    }),
  );
