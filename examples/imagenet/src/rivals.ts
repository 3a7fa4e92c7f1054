import type {
  CertificationSettings,
  ConvNetRecipe,
  EvaluationSettings,
  FinetuningRecipe,
} from "@dmae/reproduce";
import { publishedFor } from "./published.ts";

// The methods that Tables 1 and 2 compare DMAE with, on torchvision's ResNet-50: each with the command or the defaults
// of its own code. Not among them: Diffusion + BEiT (857 million parameters, pre-trained on other data).

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
  model: "resnet50",
  config: { numClasses: 1000 },
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
  sgd: { learningRate: 0.1, momentum: 0.9, weightDecay: 1e-4, stepSize: 30, gamma: 0.1 },
  emaDecay: null,
  augmentation: { resizedCropScale: [0.08, 1], horizontalFlip: 0.5 }, // torchvision's defaults
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
    lambda: bySigma(10, 5, 5)[sigma],
    mu: bySigma(0.5, 0.5, 0.1)[sigma],
    mode: "default",
  },
  epochs: 90,
  batchSize: 128,
  sgd,
});

const methods: Readonly<Record<string, (sigma: Sigma) => Facts>> = {
  rs: () => ({
    source: "experiments.MD and the defaults of train.py of locuslab/smoothing",
    method: { name: "gaussian", copies: 1 },
    epochs: 90,
    batchSize: 400,
    sgd: { ...sgd, steppedAt: "start" },
  }),
  // Of the published logs, PGD_1step with these radii has the numbers of Table 2 (62.8, 54.3; 53.6, 49.4, …; 40.3, 37.0, …).
  smoothadv: (sigma) => ({
    source:
      "data/certify/imagenet/PGD_1step of Hadisalman/smoothing-adversarial, the radii whose logs are Table 2's; batch and warm-up as on CIFAR-10",
    method: {
      name: "smoothAdv",
      copies: 1,
      epsilon: bySigma(127, 255, 512)[sigma] / 256,
      steps: 1,
      warmupEpochs: 10,
      attack: "pgd",
    },
    epochs: 90,
    batchSize: 256,
    sgd: { ...sgd, steppedAt: "start" },
  }),
  consistency,
  macer: (sigma) => ({
    source:
      "section 4 of arXiv:2001.02378 (120 epochs: README of RuntianZ/macer); not checked against the authors",
    method: {
      name: "macer",
      copies: 2,
      lambda: bySigma(6, 3, 6)[sigma],
      beta: 16,
      margin: 8,
      deferredUntilEpoch: bySigma(null, null, 29)[sigma], // until the first drop
    },
    epochs: 120,
    batchSize: 256,
    sgd: { ...sgd, steppedAt: "start" },
  }),
  smoothmix: (sigma) => ({
    source:
      "EXPERIMENTS.MD of jh-jeong/smoothmix says ImageNet is done in a similar way: CIFAR-10's settings with one step, 90 epochs",
    method: {
      name: "smoothMix",
      copies: 2,
      steps: 1,
      alpha: bySigma(0.5, 1, 2)[sigma],
      mixStep: 0,
      eta: 5,
      warmupEpochs: 10, // parser default of --warmup
    },
    epochs: 90,
    batchSize: 128,
    sgd,
  }),
  boosting: (sigma) => ({
    ...consistency(sigma),
    source: "arXiv:2106.06946, three models; training.md of eth-sri/smoothing-ensembles",
  }),
};

const titles: Readonly<Record<string, string>> = {
  rs: "RS (Cohen et al. 2019)",
  smoothadv: "SmoothAdv (Salman et al. 2019)",
  consistency: "Consistency (Jeong & Shin 2020)",
  macer: "MACER (Zhai et al. 2020)",
  smoothmix: "SmoothMix (Jeong et al. 2021)",
  boosting: "Boosting, three Consistency models (Horváth et al. 2022)",
};

/** The rival rows of Tables 1 and 2; how they are evaluated and certified is the same for all. */
export const rivals = (
  evaluation: EvaluationSettings,
  certification: (sigma: number) => CertificationSettings,
): readonly FinetuningRecipe[] =>
  sigmas.flatMap((sigma) =>
    Object.entries(methods).map(([method, factsAt]): FinetuningRecipe => {
      const base = `resnet50-imagenet-${method}`;
      const name = `${base}-${sigma}`;
      return {
        name,
        paper: `ResNet-50, ${titles[method]}, sigma ${sigma} (Tables 1, 2)`,
        dataset: "imagenet",
        task: "finetune",
        startsFrom: null,
        training: { name, ...shared, ...factsAt(sigma), sigma: Number(sigma) },
        ...(method === "boosting" ? { ensemble: { members: 3, consensus: 3 } } : {}),
        evaluation,
        certification: certification(Number(sigma)),
        published: publishedFor(base, sigma),
      };
    }),
  );
