import { createConvNet } from "@dmae/convnet";
import { finetuneRecipes, linearProbeRecipes } from "@dmae/finetune";
import { pretrainRecipes } from "@dmae/pretrain";
import type { ClassifierRecipe, Recipe } from "../recipe.ts";

const classifier = {
  dataset: "cifar10",
  startsFrom: "pretraining",
  evaluation: { images: null, votes: 100, voteEvery: 25 },
  certification: {
    sigmas: [0.25],
    n0: 100,
    n: 1000,
    alpha: 0.001,
    every: 1,
    skipWrongGuess: true,
    batchSize: 100,
    radii: [0, 0.5, 1],
  },
  published: [
    { percent: { "0.50": 50 }, sigma: 0.25, source: "Table 2" },
    { percent: { "0.50": 60 }, sigma: null, source: "Table 1" },
  ],
} as const satisfies Partial<ClassifierRecipe>;

/** A recipe of each task, for tests. */
export const testRecipes: Readonly<Record<string, Recipe>> = {
  pretraining: {
    name: "pretraining",
    paper: "a test",
    dataset: "imagenet",
    task: "pretrain",
    startsFrom: null,
    training: pretrainRecipes["dmae-vit-b-imagenet-pretrain"],
  },
  continuing: {
    name: "continuing",
    paper: "a test",
    dataset: "cifar10",
    task: "continue",
    startsFrom: "pretraining",
    training: pretrainRecipes["dmae-vit-b-cifar10-continued"],
  },
  cr: {
    ...classifier,
    name: "cr",
    paper: "a test",
    task: "finetune",
    training: finetuneRecipes["dmae-vit-b-cifar10-cr-0.25"],
  },
  averaged: {
    ...classifier,
    name: "averaged",
    paper: "a test",
    task: "finetune",
    training: { ...finetuneRecipes["dmae-vit-b-cifar10-rs-0.25"], emaDecay: 0.5 },
  },
  boosting: {
    ...classifier,
    name: "boosting",
    paper: "a test",
    task: "finetune",
    startsFrom: null,
    training: {
      ...finetuneRecipes["dmae-vit-b-cifar10-rs-0.25"],
      model: createConvNet("cifar_resnet110").config,
      method: { name: "gaussian", copies: 1 },
      ...{ dropPath: 0, layerDecay: 1 },
    },
    ensemble: { members: 10, consensus: 10 },
  },
  probe: {
    ...classifier,
    name: "probe",
    paper: "a test",
    dataset: "imagenet",
    task: "probe",
    training: linearProbeRecipes["dmae-vit-b-imagenet-probe-0.25"],
  },
};
