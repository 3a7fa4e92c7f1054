import { sgdSchedule } from "@dmae/finetune/tasks";
import { cosineSchedule } from "@dmae/train";
import { scaledLearningRate, trainingPosition } from "@dmae/train/tasks";
import type { Recipe } from "./recipe.ts";

/** The learning rate by fractional epoch, counted from 0. */
export function learningRateByEpoch({ training }: Recipe): (epoch: number) => number {
  const { baseLearningRate, minLearningRate, warmupEpochs, epochs, batchSize, accumulate } =
    training;
  if ("sgd" in training && training.sgd) return sgdSchedule(training.sgd);
  const learningRate = scaledLearningRate(baseLearningRate, batchSize * accumulate);
  return cosineSchedule({ learningRate, minLearningRate, warmupEpochs, epochs });
}

/** The learning rate of each micro-batch, counted from 0. */
export function learningRateByStep(
  recipe: Recipe,
  stepsPerEpoch: number,
): (step: number) => number {
  const schedule = learningRateByEpoch(recipe);
  const { accumulate } = recipe.training;
  return (step) => schedule(trainingPosition(step, stepsPerEpoch, accumulate).schedulePosition);
}
