import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames, show } from "@dmae/core/checks";
import { checkAugmentation } from "./augmentation.ts";
import type { TrainingRecipe } from "./train-model.ts";

/** Ranges of numbers by what errors call them. */
const ranges = {
  "be a positive integer": (value: number) => Number.isSafeInteger(value) && value >= 1,
  "be a number, 0 or more": (value: number) => value >= 0 && Number.isFinite(value),
  "lie in [0, 1]": (value: number) => value >= 0 && value <= 1,
  "lie in [0, 1)": (value: number) => value >= 0 && value < 1,
} as const;

/** The ranges of the numbers of a recipe by field. */
export type RecipeRanges<Recipe> = {
  readonly [Field in keyof Recipe]?: keyof typeof ranges;
};

const sharedRanges: RecipeRanges<TrainingRecipe> = {
  epochs: "be a positive integer",
  batchSize: "be a positive integer",
  accumulate: "be a positive integer",
  warmupEpochs: "be a number, 0 or more",
  baseLearningRate: "be a number, 0 or more",
  minLearningRate: "be a number, 0 or more",
};

/**
 * Throws unless a recipe is an object of known fields whose numbers are in their ranges.
 *
 * @param caller the function that was called, for the message
 * @param recipe what the user passed
 * @param names the names of its fields
 * @param own the ranges of its own fields; those of {@link TrainingRecipe} are known
 * @param example a recipe, for whoever passed something else
 * @returns a function for further checks, which throws `caller: rule, got value`
 */
export function checkRecipe<Recipe extends TrainingRecipe>(
  caller: string,
  recipe: Recipe,
  names: OptionNames<Recipe>,
  own: RecipeRanges<Recipe>,
  example: string,
): (rule: string, value: unknown) => never {
  const fail = (rule: string, value: unknown): never => {
    throw new DmaeError("argument", `${caller}: ${rule}, got ${show(value)}`, { value });
  };
  if (typeof recipe !== "object" || recipe === null)
    fail(`the recipe must be an object, e.g. ${example}`, recipe);
  checkOptions<Recipe>(caller, recipe, names, "recipe field");
  for (const [field, range] of Object.entries<keyof typeof ranges>({ ...sharedRanges, ...own })) {
    const value = recipe[field as keyof Recipe] as number;
    if (typeof value !== "number" || !ranges[range](value)) fail(`${field} must ${range}`, value);
  }
  checkAugmentation(caller, recipe.augmentation);
  return fail;
}
