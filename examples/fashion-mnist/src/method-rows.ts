import type { MethodSettings } from "@dmae/certified-training";
import { type ConvNet, createConvNet } from "@dmae/convnet";
import type { FinetuneRecipe } from "@dmae/finetune";
import { fromScratchWithSgd } from "@dmae/reproduce/rivals";

/** One row of the table for a published training method: LeNet from scratch. */
export interface MethodRow {
  /** Name of the row and of its run folder: the method and sigma. */
  readonly name: string;
  readonly recipe: FinetuneRecipe<ConvNet>;
}

/** Noise levels of the published runs. */
const sigmas = [0.25, 0.5, 1] as const;

// The published repository (alinlab/smoothing-catrs) does not state its Fashion-MNIST hyperparameters. These are MNIST's,
// from EXPERIMENTS.MD of jh-jeong/smoothing-consistency, of jh-jeong/smoothmix and, for CAT-RS, of alinlab/smoothing-catrs; its logs for
// Fashion-MNIST, whose epochs count from 0, pin down the first epochs with a lower rate (31 and 61; CAT-RS 51 and 101) and with
// MACER's robustness term (31).
// Chosen without a source: SmoothMix with mixStep 0 (of two published settings), and lambda 1 for CAT-RS at 0.5 and 1.

/** Values for sigma 0.25, 0.5 and 1. */
const bySigma = <T>(...values: [T, T, T]) => values;
const macerLambda = bySigma(16, 16, 6);
const consistencyLambda = bySigma(10, 5, 5);
const smoothMixSteps = bySigma(2, 4, 8);

/** The settings of every method, at the sigma of index `i`. */
const settings = (i: 0 | 1 | 2): readonly MethodSettings[] => [
  { name: "gaussian", copies: 1 },
  { name: "stability", lambda: 2 },
  { name: "smoothAdv", copies: 4, epsilon: 255 / 256, steps: 10, warmupEpochs: 10 },
  {
    name: "macer",
    copies: 16,
    lambda: macerLambda[i],
    beta: 16,
    margin: 8,
    deferredUntilEpoch: 30,
  },
  { name: "consistency", copies: 2, lambda: consistencyLambda[i], mu: 0.5 },
  {
    name: "smoothMix",
    copies: 4,
    steps: smoothMixSteps[i],
    alpha: 1,
    mixStep: 0,
    eta: 5,
    warmupEpochs: 10,
  },
  { name: "catRs", copies: 4, epsilon: 1, steps: 4, lambda: 1 },
];

/**
 * Images in one step. The official loader reads 256; SmoothAdv, Consistency, SmoothMix and CAT-RS cut these into m
 * pieces and make a step with each. MACER reads 64.
 */
function batchSize(method: MethodSettings): number {
  if (method.name === "macer") return 64;
  return method.name === "stability" ? 256 : 256 / (method.copies ?? 1);
}

function recipe(name: string, method: MethodSettings, sigma: number): FinetuneRecipe<ConvNet> {
  const isCatRs = method.name === "catRs";
  return {
    name,
    source: `MNIST's hyperparameters, EXPERIMENTS.MD of ${isCatRs ? "alinlab/smoothing-catrs" : "jh-jeong/smoothing-consistency and smoothmix"}`,
    model: createConvNet("lenet"),
    method,
    sigma,
    ...fromScratchWithSgd,
    epochs: isCatRs ? 150 : 90,
    batchSize: batchSize(method),
    sgd: {
      learningRate: 0.01,
      momentum: 0.9,
      weightDecay: 1e-4,
      stepSize: isCatRs ? 50 : 30,
      gamma: 0.1,
    },
    augmentation: null,
  };
}

/** The rows by name: `gaussian-0.25`, …, `catRs-1.00`. */
export const methodRows: readonly MethodRow[] = sigmas.flatMap((sigma, i) =>
  settings(i as 0 | 1 | 2).map((method) => {
    const name = `${method.name}-${sigma.toFixed(2)}`;
    return { name, recipe: recipe(name, method, sigma) };
  }),
);
