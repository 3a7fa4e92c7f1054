import { foldIn, type HostTensors, type ImageDataset, type Key } from "@dmae/core";
import type { Model } from "@dmae/nn";
import type { TrainingTask } from "@dmae/train";
import { evaluate } from "./evaluate.ts";
import { checkDataset, checkMeasure } from "./evaluation-checks.ts";

/** Regular evaluations during `robustFinetune` and `linearProbe`. */
export interface FinetuneEvaluation {
  /** Images to evaluate on. */
  readonly dataset: ImageDataset;
  /** Epochs between two evaluations; default 1. */
  readonly everyEpochs?: number | undefined;
  /** The first so many images; default: all. */
  readonly limit?: number | undefined;
  /** Noise of the evaluation; default: the recipe's sigma (the upper end of an interval). */
  readonly sigma?: number | undefined;
}

/**
 * The regular evaluations of a training, checked before it begins; empty if `options` ask for none.
 *
 * @param defaults the run's key, and the noise and batch of its recipe
 * @param complete parameters of the classifier from those that are trained
 */
export function trainingEvaluation(
  caller: string,
  model: Model,
  options: {
    readonly evaluation?: FinetuneEvaluation | undefined;
    readonly signal?: AbortSignal | undefined;
  },
  defaults: { readonly key: Key; readonly sigma: number; readonly batchSize?: number },
  complete: (params: HostTensors) => HostTensors = (params) => params,
): Pick<TrainingTask, "evaluation"> {
  const { evaluation, signal } = options;
  if (!evaluation) return {};
  checkMeasure(`${caller}: evaluation`, evaluation);
  checkDataset(`${caller}: evaluation`, evaluation.dataset, model);
  const { dataset, limit, everyEpochs = 1, sigma = defaults.sigma } = evaluation;
  return {
    evaluation: {
      everyEpochs,
      async run(params, executor) {
        const { accuracy, loss } = await evaluate(model, complete(params), dataset, {
          ...{ executor, sigma, limit, signal },
          seed: foldIn(defaults.key, "evaluation"),
          batchSize: defaults.batchSize,
        });
        return { accuracy, loss };
      },
    },
  };
}
