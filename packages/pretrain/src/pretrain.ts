import { saveSafetensors } from "@dmae/checkpoint";
import {
  DmaeError,
  foldIn,
  type HostTensor,
  type HostTensors,
  type ImageDataset,
  type Key,
} from "@dmae/core";
import type { Executor, Tensors } from "@dmae/nn";
import {
  adamw,
  type BatchSource,
  checkpointSteps,
  cosineSchedule,
  createTrainStep,
  dataName,
  decayGroups,
  fit,
  type ImageTransform,
  type Metrics,
  type Progress,
  pick,
  requireImages,
  scaledLearningRate,
  type TrainStep,
  toBatchSource,
  unprefixed,
  withBatchSize,
} from "@dmae/train";
import { createDmae, type Dmae, type DmaeInputs } from "./dmae.ts";
import { pretrainInputs } from "./inputs.ts";
import { checkPretrainRecipe, type PretrainRecipe } from "./recipe.ts";

/** Options of {@link pretrain}. */
export interface PretrainOptions {
  /** Runs the steps: `eagerExecutor()` or `compiledExecutor(…)`. */
  readonly executor: Executor;
  /** Keys initial values, order, augmentation, noise and masks. */
  readonly key: Key;
  /** Run folder: log, checkpoints, `model.safetensors` at the end; a run found there is resumed. */
  readonly folder?: string;
  /** Augmentation of each image, where a data set (not a batch source) is given. */
  readonly transform?: ImageTransform;
  /** Parameters to go on from (continued pre-training) instead of fresh ones. */
  readonly initialParams?: HostTensors;
  /** Optimizer state that belongs to `initialParams`, e.g. `optimizerState(…)` of `@dmae/checkpoint`. */
  readonly initialOptimizer?: {
    /** `exp_avg.<name>` and `exp_avg_sq.<name>`. */
    readonly tensors: HostTensors;
    /** Updates made. */
    readonly step: number;
  };
  /** Epochs between two checkpoints; default 1. */
  readonly checkpointEveryEpochs?: number;
  /** Epochs between two checkpoints that are kept; default: none is. */
  readonly keepEveryEpochs?: number;
  /** Steps between two lines of the log; default 1. */
  readonly logEvery?: number;
  /** Called after each step. */
  readonly onProgress?: (progress: Progress) => void;
  /** Stops the run after a checkpoint; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What {@link pretrain} returns. */
export interface PretrainResult {
  /** All parameters, encoder and decoder, in the names and layouts of the official state dict. */
  readonly params: Record<string, HostTensor>;
  /** The model. */
  readonly dmae: Dmae;
  /** Steps done in the whole run. */
  readonly step: number;
  /** Steps that an earlier process had done. */
  readonly resumedFrom: number;
  /** Scalars of the last step. */
  readonly metrics: Metrics;
}

/**
 * Pre-trains a DMAE (or, with sigma 0 and region "masked", an MAE) as the official scripts do: AdamW, per-step cosine
 * schedule with warm-up, learning rate scaled with the effective batch, fixed positions.
 *
 * The same recipe, data and key give the same numbers on the same executor, interrupted or not.
 *
 * @param data a data set, shuffled here, or a batch source such as `batchLoader(…)` of `@dmae/datasets`
 * @throws DmaeError "argument" for a recipe or data that do not fit; "numeric" when the loss is not finite; "resume" for a
 *   folder of another run
 *
 * @example
 * const { params } = await pretrain(recipe, train, { executor: eagerExecutor(), key: key(0), folder: "runs/a" });
 */
export async function pretrain(
  recipe: PretrainRecipe,
  data: ImageDataset | BatchSource,
  options: PretrainOptions,
): Promise<PretrainResult> {
  checkPretrainRecipe(recipe);
  const { executor, key, folder, transform } = options;
  const dmae = createDmae(recipe.model, { ...recipe.config, sigma: recipe.sigma });
  const { inputSize, channels } = dmae.config;
  requireImages(data, {
    caller: "pretrain",
    imageShape: [inputSize, inputSize, channels],
    augments: recipe.augmentation !== null,
    transform,
  });
  const { batchSize } = recipe;
  const shuffled = {
    batchSize,
    key: foldIn(key, "data"),
    unlabelled: true,
    ...(transform ? { transform } : {}),
  };
  const source = withBatchSize(toBatchSource(data, shuffled), batchSize, "pretrain");
  const { stepsPerEpoch } = source;
  const checkpoints = checkpointSteps("pretrain", options, stepsPerEpoch);
  const first = options.initialParams ?? dmae.initHost(foldIn(key, "init"));
  const { initialOptimizer } = options;
  if (initialOptimizer !== undefined && !(initialOptimizer.step >= 0))
    throw new DmaeError(
      "argument",
      `pretrain: initialOptimizer.step must be the number of updates made, got ${initialOptimizer.step}`,
      { value: initialOptimizer.step },
    );
  const train = pretrainStep(dmae, recipe, {
    params: first,
    stepsPerEpoch,
    updateOffset: initialOptimizer?.step ?? 0,
  });
  const result = await fit({
    executor,
    step: train.step,
    state: () => train.initState(checkParams(dmae, first), initialOptimizer?.tensors),
    steps: recipe.epochs * stepsPerEpoch,
    stepsPerEpoch,
    batch: async (step) => {
      const batch = await source.at(step);
      const epoch = Math.floor(step / stepsPerEpoch);
      const { maskRatio } = recipe;
      return {
        ...pretrainInputs(batch, { key, epoch, length: dmae.length, maskRatio }),
        ...train.inputs(step),
      };
    },
    logExtra: (step) => ({ learningRate: train.learningRate(step) }),
    recipe: {
      ...{ task: "pretrain", data: dataName(data), recipe, key, stepsPerEpoch },
      ...(initialOptimizer ? { updateOffset: initialOptimizer.step } : {}),
    },
    ...checkpoints,
    ...pick(options, ["folder", "logEvery", "onProgress", "signal"]),
  });
  const params = unprefixed("params.", result.state);
  if (folder !== undefined)
    await saveSafetensors(`${folder}/model.safetensors`, params, {
      recipe: JSON.stringify(recipe),
      step: String(result.step),
    });
  return {
    params,
    dmae,
    step: result.step,
    resumedFrom: result.resumedFrom,
    metrics: result.metrics,
  };
}

/**
 * The pure step of pre-training, for loops of one's own and for parity tests: its batch is that of
 * {@link pretrainInputs} and the step's own `inputs`.
 */
export function pretrainStep(
  dmae: Dmae,
  recipe: Omit<PretrainRecipe, "augmentation" | "batchSize"> & { readonly batchSize: number },
  run: {
    readonly params: HostTensors;
    readonly stepsPerEpoch: number;
    readonly updateOffset?: number;
  },
): TrainStep {
  const { weightDecay, beta1, beta2, accumulate, normPixLoss, region } = recipe;
  const { minLearningRate, warmupEpochs, epochs } = recipe;
  const groups = decayGroups(run.params, { weightDecay, frozen: dmae.frozen });
  const learningRate = scaledLearningRate(recipe.baseLearningRate, recipe.batchSize * accumulate);
  return createTrainStep({
    loss: (params: Tensors, batch: Tensors) => ({
      loss: dmae.loss(params, batch as unknown as DmaeInputs, { normPixLoss, region }),
    }),
    optimizer: adamw({ beta1, beta2, groups }),
    trainable: Object.keys(groups),
    schedule: cosineSchedule({ learningRate, minLearningRate, warmupEpochs, epochs }),
    stepsPerEpoch: run.stepsPerEpoch,
    updateOffset: run.updateOffset ?? 0,
    accumulate,
  });
}

/** Names and shapes must be those of the model. */
function checkParams(dmae: Dmae, params: HostTensors): HostTensors {
  const expected = dmae.initHost({ high: 0, low: 0 });
  const names = new Set([...Object.keys(expected), ...Object.keys(params)]);
  const wrong = [...names].filter(
    (name) => `${expected[name]?.shape}` !== `${params[name]?.shape}`,
  );
  if (wrong.length > 0)
    throw new DmaeError(
      "checkpoint",
      `pretrain: initialParams must have the model's names and shapes; these differ: ${wrong.join(", ")}`,
      { names: wrong },
    );
  return params;
}
