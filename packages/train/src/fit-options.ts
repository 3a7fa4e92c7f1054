import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { FitOptions } from "./fit.ts";

/** Throws for an option of `fit` outside its range: an interval of 0 or NaN would switch off what it spaces. */
export function checkFitOptions(options: FitOptions): void {
  checkOptions("fit", options, {
    executor: true,
    step: true,
    state: true,
    steps: true,
    batch: true,
    stepsPerEpoch: true,
    folder: true,
    recipe: true,
    checkpointEvery: true,
    keepEvery: true,
    logEvery: true,
    logExtra: true,
    evaluate: { every: true, run: true, best: { metric: true, mode: true } },
    prefetch: true,
    onProgress: true,
    onEvaluation: true,
    signal: true,
    ranks: { world: true, split: true, share: true, facts: true },
  });
  const { steps, stepsPerEpoch, prefetch, evaluate, ranks } = options;
  if (ranks !== undefined && !(ranks.world?.size >= 1 && ranks.split && ranks.share > 0))
    wrong("ranks must have world, split and share", JSON.stringify(ranks));
  if (!Number.isInteger(steps) || steps < 0) wrong("steps must be a whole number", steps);
  if (stepsPerEpoch !== undefined && !isPositiveInteger(stepsPerEpoch))
    wrong("stepsPerEpoch must be a positive integer", stepsPerEpoch);
  for (const name of ["checkpointEvery", "keepEvery", "logEvery"] as const)
    requireInterval(name, options[name]);
  if (prefetch !== undefined && !(Number.isSafeInteger(prefetch) && prefetch >= 0))
    wrong("prefetch must be a whole number, 0 to prepare nothing ahead", prefetch);
  if (evaluate === undefined) return;
  requireInterval("evaluate.every", evaluate.every ?? Number.NaN);
  const mode: string | undefined = evaluate.best?.mode;
  if (evaluate.best !== undefined && mode !== "max" && mode !== "min")
    wrong('evaluate.best.mode must be "max" or "min"', mode);
}

/**
 * Steps between two checkpoints or evaluations that are `epochs` epochs apart, at least one.
 *
 * @param what names function and option: `pretrain: checkpointEveryEpochs`
 * @param epochs above 0, in fractions too; `Infinity` for the end alone
 * @throws DmaeError "argument" for anything else
 */
export function stepsBetween(what: string, epochs: number, stepsPerEpoch: number): number {
  if (!(typeof epochs === "number" && epochs > 0))
    throw new DmaeError(
      "argument",
      `${what} must be a positive number of epochs, got ${epochs}; leave it out for the default`,
      { value: epochs },
    );
  return Math.max(1, Math.round(epochs * stepsPerEpoch));
}

/**
 * `checkpointEvery` and `keepEvery` of `fit` from options in epochs; a checkpoint an epoch where nothing is said.
 *
 * @throws DmaeError "argument" naming the option, see {@link stepsBetween}
 */
export function checkpointSteps(
  caller: string,
  options: { readonly checkpointEveryEpochs?: number; readonly keepEveryEpochs?: number },
  stepsPerEpoch: number,
): Pick<FitOptions, "checkpointEvery" | "keepEvery"> {
  const { checkpointEveryEpochs = 1, keepEveryEpochs } = options;
  const steps = (name: string, epochs: number) =>
    stepsBetween(`${caller}: ${name}`, epochs, stepsPerEpoch);
  const checkpointEvery = steps("checkpointEveryEpochs", checkpointEveryEpochs);
  if (keepEveryEpochs === undefined) return { checkpointEvery };
  return { checkpointEvery, keepEvery: steps("keepEveryEpochs", keepEveryEpochs) };
}

function requireInterval(name: string, value: number | undefined): void {
  if (value === undefined || value === Number.POSITIVE_INFINITY || isPositiveInteger(value)) return;
  wrong(`${name} must be a positive integer, or Infinity for never in between`, value);
}

const isPositiveInteger = (value: number) => Number.isInteger(value) && value >= 1;

function wrong(rule: string, value: unknown): never {
  throw new DmaeError("argument", `fit: ${rule}, got ${value}`, { value });
}
