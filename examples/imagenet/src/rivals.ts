import type { CertificationSettings, EvaluationSettings } from "@dmae/reproduce";
import { bySigma, type Rival, type RivalSigma, rivalRecipes } from "@dmae/reproduce/rivals";
import { publishedFor } from "./published.ts";

// The methods that Tables 1 and 2 compare DMAE with, and CAT-RS, on torchvision's ResNet-50: each with the command or the
// defaults of its own code. Not among them: Diffusion + BEiT (857 million parameters, pre-trained on other data), and
// Stability, of which no setting for ImageNet is published.

/** What most of them train with. */
const sgd = { learningRate: 0.1, momentum: 0.9, weightDecay: 1e-4, stepSize: 30, gamma: 0.1 };

/** `train_consistency.py` in training.md of eth-sri/smoothing-ensembles: pieces of 256 / m images are one step each. */
const consistency = (sigma: RivalSigma) => ({
  source: "training.md of eth-sri/smoothing-ensembles: train_consistency.py",
  method: {
    name: "consistency" as const,
    copies: 2,
    lambda: bySigma(10, 5, 5)[sigma],
    mu: bySigma(0.5, 0.5, 0.1)[sigma],
    mode: "default" as const,
  },
  epochs: 90,
  batchSize: 128,
  sgd,
});

const methods: Readonly<Record<string, Rival>> = {
  rs: {
    title: "RS (Cohen et al. 2019)",
    training: () => ({
      source: "experiments.MD and the defaults of train.py of locuslab/smoothing",
      method: { name: "gaussian", copies: 1 },
      epochs: 90,
      batchSize: 400,
      sgd: { ...sgd, steppedAt: "start" },
    }),
  },
  // Of the published logs, PGD_1step with these radii has the numbers of Table 2 (62.8, 54.3; 53.6, 49.4, …; 40.3, 37.0, …).
  smoothadv: {
    title: "SmoothAdv (Salman et al. 2019)",
    training: (sigma) => ({
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
  },
  consistency: {
    title: "Consistency (Jeong & Shin 2020)",
    training: consistency,
  },
  macer: {
    title: "MACER (Zhai et al. 2020)",
    training: (sigma) => ({
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
  },
  smoothmix: {
    title: "SmoothMix (Jeong et al. 2021)",
    training: (sigma) => ({
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
  },
  catrs: {
    title: "CAT-RS (Jeong et al. 2023)",
    isInPaper: false,
    sigmas: ["1.00"],
    training: () => ({
      source:
        "train_catrs.py on ImageNet in EXPERIMENTS.MD of alinlab/smoothing-catrs, which has it at sigma 1 alone; --lr_drop as its loop acts",
      method: {
        name: "catRs",
        copies: 2,
        epsilon: 1,
        steps: 1,
        lambda: 2,
        confidence: "soft labels",
        doubleRadiusFromEpoch: 80,
      },
      epochs: 90,
      batchSize: 128,
      sgd: { ...sgd, dipInEpoch: 85 },
    }),
  },
  boosting: {
    title: "Boosting, three Consistency models (Horváth et al. 2022)",
    training: (sigma) => ({
      ...consistency(sigma),
      source: "arXiv:2106.06946, three models; training.md of eth-sri/smoothing-ensembles",
    }),
    ensemble: { members: 3, consensus: 3 },
  },
};

/** The rival rows of Tables 1, 2; how they are evaluated and certified is the same for all. */
export const rivals = (
  evaluation: EvaluationSettings,
  certification: (sigma: RivalSigma) => CertificationSettings,
) =>
  rivalRecipes({
    dataset: "imagenet",
    network: { name: "resnet50-imagenet", title: "ResNet-50" },
    model: "resnet50",
    augmentation: { resizedCropScale: [0.08, 1], horizontalFlip: 0.5 }, // torchvision's defaults
    tables: "Tables 1, 2",
    methods,
    evaluation,
    certification,
    published: publishedFor,
  });
