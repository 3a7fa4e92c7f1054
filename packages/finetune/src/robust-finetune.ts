import { saveSafetensors } from "@dmae/checkpoint";
import { foldIn, type HostTensor, type HostTensors, type ImageDataset, type Key } from "@dmae/core";
import type { Executor } from "@dmae/nn";
import {
  type BatchSource,
  checkpointSteps,
  dataName,
  fit,
  type ImageTransform,
  type Metrics,
  type Progress,
  pick,
  requireImages,
  stepsBetween,
  toBatchSource,
  unprefixed,
  withBatchSize,
} from "@dmae/train";
import {
  createViT,
  type FromPretrainedOptions,
  fromPretrained,
  type PretrainedReport,
  type TensorSource,
  type ViT,
} from "@dmae/vit";
import { type EvaluateResult, evaluate } from "./evaluate.ts";
import { checkEvaluation } from "./evaluation-checks.ts";
import { finetuneStep } from "./finetune-step.ts";
import { finetuneInputs } from "./inputs.ts";
import { checkFinetuneRecipe, type FinetuneRecipe, sigmaRange } from "./recipe.ts";

/** Regular evaluations during {@link robustFinetune} and `linearProbe`. */
export interface FinetuneEvaluation {
  /** Images to evaluate on. */
  readonly dataset: ImageDataset;
  /** Epochs between two evaluations; default 1. */
  readonly everyEpochs?: number;
  /** The first so many images; default: all. */
  readonly limit?: number;
  /** Noise of the evaluation; default: the recipe's sigma (the upper end of an interval). */
  readonly sigma?: number;
}

/** Options of {@link robustFinetune}. */
export interface RobustFinetuneOptions {
  /** Runs the steps: `eagerExecutor()` or `compiledExecutor(…)`. */
  readonly executor: Executor;
  /** Keys fresh parameters, order, augmentation, noise, mixing and drop path. */
  readonly key: Key;
  /** Pre-trained parameters: a checkpoint, or the `params` of `pretrain`. Without it all are drawn. */
  readonly pretrained?: TensorSource | HostTensors;
  /** What may differ between `pretrained` and the classifier. */
  readonly loading?: Omit<FromPretrainedOptions, "key">;
  /** Run folder: log, checkpoints, `model.safetensors` at the end; a run found there is resumed. */
  readonly folder?: string;
  /** Augmentation of each image, where a data set (not a batch source) is given. */
  readonly transform?: ImageTransform;
  /** Regular evaluations under noise; the best state is kept as `best.safetensors`. */
  readonly evaluation?: FinetuneEvaluation;
  /** Epochs between two checkpoints; default 1. */
  readonly checkpointEveryEpochs?: number;
  /** Epochs between two checkpoints that are kept; default: none is. */
  readonly keepEveryEpochs?: number;
  /** Steps between two lines of the log; default 1. */
  readonly logEvery?: number;
  /** Called after each step. */
  readonly onProgress?: (progress: Progress) => void;
  /** Called after each evaluation. */
  readonly onEvaluation?: (metrics: Metrics, step: number) => void;
  /** Stops the run after a checkpoint; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What {@link robustFinetune} returns. */
export interface RobustFinetuneResult {
  /** Parameters of the classifier, in the names and layouts of the official state dict. */
  readonly params: Record<string, HostTensor>;
  /** The classifier. */
  readonly vit: ViT;
  /** What was loaded from `pretrained`, created and ignored; undefined without it. */
  readonly report: PretrainedReport | undefined;
  /** Steps done in the whole run. */
  readonly step: number;
  /** Steps that an earlier process had done. */
  readonly resumedFrom: number;
  /** Scalars of the last step. */
  readonly metrics: Metrics;
}

/**
 * Fine-tunes a ViT into a classifier that is accurate under Gaussian noise: by Gaussian augmentation alone
 * (`consistency: null`, RS) or with consistency regularisation between noisy copies (CR), as the official scripts do.
 *
 * The same recipe, data and key give the same numbers on the same executor, interrupted or not.
 *
 * @param data a data set, shuffled here, or a batch source such as `batchLoader(…)` of `@dmae/datasets`
 * @throws DmaeError "argument" for a recipe or data that do not fit; "checkpoint" for parameters of another model; "numeric" when
 *   the loss is not finite; "resume" for a folder of another run
 *
 * @example
 * const { vit, params } = await robustFinetune(recipe, train, { executor, key: key(0), pretrained: encoder.params });
 */
export async function robustFinetune(
  recipe: FinetuneRecipe,
  data: ImageDataset | BatchSource,
  options: RobustFinetuneOptions,
): Promise<RobustFinetuneResult> {
  checkFinetuneRecipe(recipe);
  const { executor, key, folder, transform, evaluation } = options;
  const vit = createViT(recipe.model, recipe.config);
  const { inputSize, channels, numClasses } = vit.config;
  requireImages(data, {
    caller: "robustFinetune",
    imageShape: [inputSize, inputSize, channels],
    numClasses,
    augments: recipe.augmentation !== null,
    transform,
  });
  if (evaluation) checkEvaluation("robustFinetune", vit.config, evaluation);
  const { batchSize } = recipe;
  const shuffled = { batchSize, key: foldIn(key, "data"), ...(transform ? { transform } : {}) };
  const source = withBatchSize(toBatchSource(data, shuffled), batchSize, "robustFinetune");
  const { stepsPerEpoch } = source;
  const checkpoints = checkpointSteps("robustFinetune", options, stepsPerEpoch);
  const evaluateEvery = stepsBetween(
    "robustFinetune: evaluation.everyEpochs",
    evaluation?.everyEpochs ?? 1,
    stepsPerEpoch,
  );
  const { params: first, report } = await startingParams(vit, options);
  const train = finetuneStep(vit.config, recipe, { params: first, stepsPerEpoch });
  const result = await fit({
    executor,
    step: train.step,
    state: () => train.initState(first),
    steps: recipe.epochs * stepsPerEpoch,
    stepsPerEpoch,
    batch: async (step) => ({
      ...finetuneInputs(recipe, await source.at(step), {
        key,
        step,
        epoch: Math.floor(step / stepsPerEpoch),
        config: vit.config,
      }),
      ...train.inputs(step),
    }),
    logExtra: (step) => ({ learningRate: train.learningRate(step) }),
    recipe: { task: "robust-finetune", data: dataName(data), recipe, key, stepsPerEpoch },
    ...checkpoints,
    ...(evaluation
      ? {
          evaluate: {
            every: evaluateEvery,
            run: (state) =>
              evaluateState(vit, unprefixed("params.", state), { recipe, ...options, evaluation }),
            best: { metric: "accuracy", mode: "max" },
          },
        }
      : {}),
    ...pick(options, ["folder", "logEvery", "onProgress", "onEvaluation", "signal"]),
  });
  const params = unprefixed("params.", result.state);
  if (folder !== undefined)
    await saveSafetensors(`${folder}/model.safetensors`, params, {
      recipe: JSON.stringify(recipe),
      step: String(result.step),
    });
  const { step, resumedFrom, metrics } = result;
  return { params, vit, report, step, resumedFrom, metrics };
}

/** Fresh parameters, or those of a pre-trained encoder with a fresh head. */
export async function startingParams(
  vit: ViT,
  { key, pretrained, loading }: Pick<RobustFinetuneOptions, "key" | "pretrained" | "loading">,
): Promise<{ params: Record<string, HostTensor>; report: PretrainedReport | undefined }> {
  const init = foldIn(key, "init");
  if (pretrained === undefined) return { params: vit.initHost(init), report: undefined };
  return fromPretrained(vit, pretrained, { ...loading, key: init });
}

async function evaluateState(
  vit: ViT,
  params: HostTensors,
  options: RobustFinetuneOptions & {
    readonly recipe: FinetuneRecipe;
    readonly evaluation: FinetuneEvaluation;
  },
): Promise<Metrics> {
  const { executor, key, recipe, evaluation, signal } = options;
  const { dataset, limit } = evaluation;
  const sigma = evaluation.sigma ?? sigmaRange(recipe.sigma)[1];
  const result: EvaluateResult = await evaluate(vit, params, dataset, {
    executor,
    sigma,
    key: foldIn(key, "evaluation"),
    batchSize: recipe.batchSize,
    ...(limit === undefined ? {} : { limit }),
    ...(signal ? { signal } : {}),
  });
  return { accuracy: result.accuracy, loss: result.loss };
}
