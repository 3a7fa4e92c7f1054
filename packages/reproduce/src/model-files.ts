import { join } from "node:path";
import { ensembleOf, type Recipe } from "./recipe.ts";
import type { Run } from "./run.ts";

/** What a training stage trains: one model, or the members of an ensemble one after the other. */
export const trainingParts = (recipe: Recipe): readonly string[] => {
  const { members } = ensembleOf(recipe) ?? {};
  return members === undefined
    ? [recipe.task]
    : Array.from({ length: members }, (_, i) => `${recipe.task}/member-${i}`);
};

/** What a training part leaves: the parameters of its last step, or with `emaDecay` their moving average. */
export const modelFile = ({ folder, recipe }: Pick<Run, "folder" | "recipe">, part: string) => {
  const { training } = recipe;
  const isAveraged = "emaDecay" in training && training.emaDecay != null;
  return join(folder, part, isAveraged ? "averaged.safetensors" : "model.safetensors");
};

/** Where a training stage leaves the classifier; of an ensemble those of each member. */
export const modelFiles = (run: Pick<Run, "folder" | "recipe">) =>
  trainingParts(run.recipe).map((part) => modelFile(run, part));
