import type { CertificationSettings, EvaluationSettings } from "@dmae/reproduce";
import { bySigma, type Rival, type RivalSigma, rivalRecipes } from "@dmae/reproduce/rivals";
import { publishedFor } from "./published.ts";

// The methods that Table 3 compares DMAE with, and Stability and CAT-RS, on the ResNet-110 of locuslab/smoothing: each with the
// command or the defaults of its own code. Not among them: Diffusion, whose denoiser nobody trains on the way.

/** What most of them train with. */
const sgd = { learningRate: 0.1, momentum: 0.9, weightDecay: 1e-4, stepSize: 50, gamma: 0.1 };

/** `train_consistency.py` in training.md of eth-sri/smoothing-ensembles: pieces of 256 / m images are one step each. */
const consistency = (sigma: RivalSigma) => ({
  source: "training.md of eth-sri/smoothing-ensembles: train_consistency.py",
  method: {
    name: "consistency" as const,
    copies: 2,
    lambda: bySigma(20, 10, 10)[sigma],
    mu: 0.5,
    mode: "default" as const,
  },
  epochs: 150,
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
      sgd: { ...sgd, stepSize: 30, steppedAt: "start" },
    }),
  },
  smoothadv: {
    title: "SmoothAdv (Salman et al. 2019; the paper's number used more data)",
    training: (sigma) => {
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
  },
  consistency: {
    title: "Consistency (Jeong & Shin 2020)",
    training: consistency,
  },
  macer: {
    title: "MACER (Zhai et al. 2020)",
    training: (sigma) => ({
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
  },
  smoothmix: {
    title: "SmoothMix (Jeong et al. 2021)",
    training: (sigma) => ({
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
  },
  stability: {
    title: "Stability (Li et al. 2019)",
    isInPaper: false,
    training: (sigma) => ({
      source:
        "train_stab.py on CIFAR-100 in EXPERIMENTS.MD of alinlab/smoothing-catrs, CIFAR-10 in a similar way; lambda is that of jh-jeong/smoothing-consistency's logs of CIFAR-10 too",
      method: { name: "stability", lambda: bySigma(2, 2, 1)[sigma] },
      epochs: 150,
      batchSize: 256,
      sgd,
    }),
  },
  catrs: {
    title: "CAT-RS (Jeong et al. 2023)",
    isInPaper: false,
    training: (sigma) => ({
      source:
        "train_catrs.py at 0.25 in the README of alinlab/smoothing-catrs, at the other levels on CIFAR-100 in its EXPERIMENTS.MD, CIFAR-10 in a similar way",
      method: { name: "catRs", copies: 4, epsilon: 1, steps: 4, lambda: bySigma(0.5, 1, 2)[sigma] },
      epochs: 150,
      batchSize: 64,
      sgd,
    }),
  },
  boosting: {
    title: "Boosting, ten Consistency models (Horváth et al. 2022)",
    training: (sigma) => ({
      ...consistency(sigma),
      source: "arXiv:2106.06946, ten models; training.md of eth-sri/smoothing-ensembles",
    }),
    ensemble: { members: 10, consensus: 10 },
  },
};

/** The rival rows of Table 3; how they are evaluated and certified is the same for all. */
export const rivals = (
  evaluation: EvaluationSettings,
  certification: (sigma: RivalSigma) => CertificationSettings,
) =>
  rivalRecipes({
    dataset: "cifar10",
    network: { name: "resnet110-cifar10", title: "ResNet-110" },
    model: "cifar_resnet110",
    augmentation: { resizedCropScale: null, cropPadding: 4, horizontalFlip: 0.5 },
    tables: "Table 3",
    methods,
    evaluation,
    certification,
    published: publishedFor,
  });
