import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { Executor, StepFunction } from "@dmae/nn";
import type { Metrics } from "./metrics.ts";
import type { TrainingProgress } from "./progress.ts";
import type { RanksOptions } from "./rank-step.ts";

/** Regular evaluations during `fit`. */
export interface Evaluation {
  /** Steps between two evaluations, `Infinity` for none; there is one after the last step as well. */
  readonly every: number;
  /** Measures a state; what it draws must depend on nothing but its arguments. */
  run(state: Readonly<Record<string, HostTensor>>, step: number): Promise<Metrics>;
  /** Keeps the state with the best value of one metric as `best.safetensors`; NaN is never best. */
  readonly best?: { readonly metric: string; readonly mode: "max" | "min" };
}

/** Options of `fit`. */
export interface FitOptions {
  /** Runs the step: `eagerExecutor()` or `compiledExecutor(…)`. */
  readonly executor: Executor;
  /** The pure step, e.g. from `createTrainStep`. */
  readonly step: StepFunction;
  /** The state to begin with, or a function that makes it; not asked for when the run is resumed. */
  readonly state: HostTensors | (() => HostTensors | Promise<HostTensors>);
  /** Steps in the whole run. */
  readonly steps: number;
  /** The inputs of step `step`, from 0. Must depend on `step` alone: that is what makes resuming exact. */
  readonly batch: (step: number) => HostTensors | Promise<HostTensors>;
  /** Steps in an epoch, for logs and progress; default: all of them. */
  readonly stepsPerEpoch?: number | undefined;
  /** Folder for log and checkpoints; a run found in it is resumed. Without it nothing is written. */
  readonly folder?: string | undefined;
  /** Everything that decides the numbers, as plain JSON; compared when a run is resumed. */
  readonly recipe?: unknown | undefined;
  /** Steps between two checkpoints, `Infinity` for none; default: an epoch. There is one at the end and on abort as well. */
  readonly checkpointEvery?: number | undefined;
  /** Keeps every so many steps' checkpoint as `step-<n>.safetensors`. */
  readonly keepEvery?: number | undefined;
  /** Steps between two `step` lines of the log; default 1. */
  readonly logEvery?: number | undefined;
  /** Further numbers for the log line of a step; epochs have lines of their own, with the means. */
  readonly logExtra?: ((step: number) => Metrics) | undefined;
  /** Regular evaluations. */
  readonly evaluate?: Evaluation | undefined;
  /** Batches prepared ahead of the running step; default 1. */
  readonly prefetch?: number | undefined;
  /** Called after each step. */
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  /** Called after each evaluation. */
  readonly onEvaluation?: ((metrics: Metrics, step: number) => void) | undefined;
  /** Stops the run: it saves a checkpoint and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Shares the run with other ranks, which call `fit` with the same options: each gives the rows of its own in `batch`.
   * Rank 0 writes the folder and evaluates. An error on one rank ends the job.
   */
  readonly ranks?: RanksOptions | undefined;
}

/** Throws for an option of `fit` outside its range: an interval of 0 or NaN would switch off what it spaces. */
export function checkFitOptions(options: FitOptions): void {
  checkOptions("fit", options, {
    executor: true,
    step: true,
    state: true,
    steps: true,
    batch: true,
    stepsPerEpoch: true,
    folder: "text",
    recipe: true,
    checkpointEvery: true,
    keepEvery: true,
    logEvery: true,
    logExtra: true,
    evaluate: { every: true, run: true, best: { metric: true, mode: true } },
    prefetch: true,
    onProgress: "function",
    onEvaluation: "function",
    signal: "signal",
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
  options: {
    readonly checkpointEveryEpochs?: number | undefined;
    readonly keepEveryEpochs?: number | undefined;
  },
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
