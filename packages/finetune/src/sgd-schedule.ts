import { stepSchedule } from "@dmae/train/tasks";
import type { SgdRecipe } from "./recipe.ts";

/**
 * The learning rate of a training with SGD by epoch, counted from 0.
 *
 * @throws DmaeError "argument" for a value outside its range
 * @example
 * const schedule = sgdSchedule({ learningRate: 0.01, momentum: 0.9, weightDecay: 1e-4, stepSize: 30, gamma: 0.1 });
 * schedule(30); // 0.01
 * schedule(31); // 0.001
 */
export function sgdSchedule(recipe: SgdRecipe): (epoch: number) => number {
  const { momentum: _, weightDecay: __, steppedAt = "end", ...steps } = recipe;
  return stepSchedule({ ...steps, steppedAt });
}
