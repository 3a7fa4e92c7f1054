import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkFinetuneRecipe, checkProbeRecipe } from "@dmae/finetune/tasks";
import { checkPretrainRecipe } from "@dmae/pretrain/tasks";
import { finetuneRecipeOf } from "./model.ts";
import { ensembleOf, isClassifierRecipe, type Recipe } from "./recipe.ts";

/** What a setting must be: whether a value is it, and in words. */
interface Rule {
  readonly holds: (value: unknown) => boolean;
  readonly words: string;
}

const whole = (least: number, most = Number.POSITIVE_INFINITY, limit = ""): Rule => ({
  holds: (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
  words: `a whole number, ${limit || `${least} or more`}`,
});

const isNumber = (value: unknown, above: number) =>
  typeof value === "number" && value >= above && Number.isFinite(value);

const evaluation: Readonly<Record<string, Rule>> = {
  images: {
    holds: (value) => value === null || whole(1).holds(value),
    words: "a whole number, 1 or more, or null for all",
  },
  votes: whole(0),
  voteEvery: whole(1),
};

const certification: Readonly<Record<string, Rule>> = {
  sigmas: {
    // logs are named by two digits
    holds: (values) =>
      isList(values, (value) => value > 0) &&
      new Set(values.map((value) => value.toFixed(2))).size === values.length,
    words: "numbers above 0 that differ in their first two decimals",
  },
  n0: whole(1),
  n: whole(1),
  alpha: {
    holds: (value) => isNumber(value, 0) && Number(value) > 0 && Number(value) < 1,
    words: "a number between 0 and 1",
  },
  every: whole(1),
  skipWrongGuess: { holds: (value) => typeof value === "boolean", words: "true or false" },
  batchSize: whole(1),
  radii: {
    holds: (values) => isList(values, (value) => value >= 0),
    words: "numbers, 0 or more",
  },
};

function isList(values: unknown, fits: (value: number) => boolean): values is readonly number[] {
  return (
    Array.isArray(values) &&
    values.length > 0 &&
    values.every((value) => isNumber(value, 0) && fits(value))
  );
}

/**
 * Throws for settings with which a run would fail once its data are open, or after its training.
 *
 * @throws DmaeError "argument" that names the setting, its rule and the value
 */
export function checkRecipe(recipe: Recipe): void {
  if (recipe.task === "finetune") checkFinetuneRecipe(finetuneRecipeOf(recipe.training));
  else if (recipe.task === "probe") checkProbeRecipe(recipe.training);
  else checkPretrainRecipe(recipe.training);
  if (!isClassifierRecipe(recipe)) return;
  const check = (part: string, settings: object, rules: Readonly<Record<string, Rule>>) => {
    for (const [name, { holds, words }] of Object.entries(rules)) {
      const value = (settings as Record<string, unknown>)[name];
      if (holds(value)) continue;
      throw new DmaeError(
        "argument",
        `${recipe.name}: ${part}.${name} must be ${words}, got ${JSON.stringify(value)}; set ${part}.${name}`,
      );
    }
  };
  check("evaluation", recipe.evaluation, evaluation);
  check("certification", recipe.certification, certification);
  const ensemble = ensembleOf(recipe);
  if (!ensemble) return;
  checkOptions(recipe.name, ensemble, { members: true, consensus: true }, "ensemble field");
  const { members } = ensemble;
  const consensus = whole(1, members, `from 1 to the ${members} members`);
  check("ensemble", ensemble, { members: whole(1), consensus });
}
