import { saveSafetensors } from "@dmae/checkpoint";
import {
  type DmaeError,
  type HostTensor,
  type HostTensors,
  type ImageDataset,
  type Key,
  key as keyOf,
  type World,
} from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { ranksOf } from "@dmae/core/ranks";
import type { ImageWorkers } from "@dmae/datasets";
import type { Executor } from "@dmae/nn";
import { type Augmentation, augmentationNames } from "./augmentation.ts";
import type { BatchSource } from "./batch-source.ts";
import { checksum } from "./checksum.ts";
import { dataFacts } from "./data-facts.ts";
import { fit } from "./fit.ts";
import { checkpointSteps, stepsBetween } from "./fit-options.ts";
import type { Metrics } from "./metrics.ts";
import { unprefixed } from "./names.ts";
import type { Objective } from "./objective.ts";
import { type ModelImages, openImages } from "./open-images.ts";
import type { Optimizer } from "./optimizer.ts";
import type { TrainingProgress } from "./progress.ts";
import { rankExecutor } from "./rank-executor.ts";
import { rankRows } from "./rank-rows.ts";
import type { RanksOptions } from "./rank-step.ts";
import { cosineSchedule, scaledLearningRate } from "./schedule.ts";
import { createTrainStep, type TrainStep } from "./train-step.ts";
import { versions } from "./versions.ts";

/** A seed, or a key derived from one. */
export type TrainingSeed = number | bigint | string | Key;

/** The recipe fields that every training has. */
export interface TrainingRecipe {
  /** A name for logs. */
  readonly name?: string;
  /** Where the values come from. */
  readonly source?: string;
  /** Passes over the data. */
  readonly epochs: number;
  /** Epochs of linear warm-up. */
  readonly warmupEpochs: number;
  /** Images in a micro-batch, before they are copied. */
  readonly batchSize: number;
  /** Micro-batches in an update; `batchSize * accumulate` is the effective batch. */
  readonly accumulate: number;
  /** Learning rate for an effective batch of 256; it grows linearly with the effective batch. */
  readonly baseLearningRate: number;
  /** Learning rate at the end. */
  readonly minLearningRate: number;
  /** Augmentation, or null for none. */
  readonly augmentation: Augmentation | null;
}

/** The names of {@link TrainingRecipe}: `checkOptions` of `@dmae/core/checks` refuses others. */
export const trainingRecipeNames = {
  name: true,
  source: true,
  epochs: true,
  warmupEpochs: true,
  batchSize: true,
  accumulate: true,
  baseLearningRate: true,
  minLearningRate: true,
  augmentation: augmentationNames,
} satisfies OptionNames<TrainingRecipe>;

/** How and where a training runs; the options that `pretrain`, `robustFinetune` and `linearProbe` share. */
export interface TrainingOptions {
  /** Runs the steps; default: compiled if onnxruntime-node is installed, else eager. */
  readonly executor?: Executor | undefined;
  /** Every draw follows from it: initial values, order, augmentation, noise, masks; default 0. */
  readonly seed?: TrainingSeed | undefined;
  /** Run folder: log, checkpoints, `model.safetensors` at the end; a run found there is resumed. */
  readonly folder?: string | undefined;
  /** Threads that decode, augment and draw noise, when `data` is a data set of `@dmae/datasets`; default 0. */
  readonly workers?: number | ImageWorkers | undefined;
  /** Called for each damaged image file; the loader substitutes the next readable image. Default: an error. */
  readonly onCorrupt?: ((error: DmaeError) => void) | undefined;
  /** Epochs between two checkpoints; default 1. */
  readonly checkpointEveryEpochs?: number | undefined;
  /** Epochs between two checkpoints that are kept; default: none is. */
  readonly keepEveryEpochs?: number | undefined;
  /** Steps between two lines of the log; default 1. */
  readonly logEvery?: number | undefined;
  /** Called after each step. */
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  /** Called after each evaluation. */
  readonly onEvaluation?: ((metrics: Metrics, step: number) => void) | undefined;
  /** Stops the run after a checkpoint; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The processes that train together, `await world()` of `@dmae/distributed`; default: this one alone. Each computes its
   * rows of every micro-batch; the numbers are those of one process, up to the rounding of sums.
   */
  readonly world?: World | undefined;
}

/** The names of {@link TrainingOptions}. */
export const trainingNames = {
  executor: "executor",
  seed: true,
  folder: "text",
  workers: true,
  onCorrupt: "function",
  checkpointEveryEpochs: true,
  keepEveryEpochs: true,
  logEvery: true,
  onProgress: "function",
  onEvaluation: "function",
  signal: "signal",
  world: true,
} satisfies OptionNames<TrainingOptions>;

/** One training as data: what {@link trainModel} runs. */
export interface TrainingTask {
  /** The function whose name errors carry. */
  readonly caller: string;
  /** What `run.json` calls the training. */
  readonly task: string;
  /** Schedule, batch and augmentation; recorded in `run.json` with every other field that it has. */
  readonly recipe: TrainingRecipe;
  /** The images that the model takes. */
  readonly images: ModelImages;
  /** The loss and its inputs. */
  readonly objective: Objective;
  /** Initial parameters. */
  readonly params: HostTensors;
  /** Tensors that the user gave to begin with; `run.json` has their checksum, so that a run goes on with no others. */
  readonly given?: HostTensors | undefined;
  /** Names of the parameters that the optimizer trains; the others stay, or change by the loss's `updates`. */
  readonly trainable: readonly string[];
  /** Names of those that change by the loss's `updates`; with `emaDecay` they must be given. */
  readonly buffers?: readonly string[];
  /** The optimizer. */
  readonly optimizer: Optimizer;
  /** Learning rate by fractional epoch; default: the recipe's warm-up and half cosine. */
  readonly schedule?: (epoch: number) => number;
  /** Largest global l2 norm of the gradients; default: no clipping. */
  readonly clipNorm?: number | null;
  /**
   * Decay of an exponential moving average of the trained parameters and the buffers; it is what evaluations measure, and
   * is saved as `averaged.safetensors`. Default: none is kept.
   */
  readonly emaDecay?: number | null;
  /** Optimizer state that belongs to `params`, and the updates it has made. */
  readonly initialOptimizer?: { readonly tensors?: HostTensors; readonly step: number };
  /** Regular evaluations; the state with the best accuracy is kept as `best.safetensors`. */
  readonly evaluation?: {
    /** Epochs between two evaluations. */
    readonly everyEpochs: number;
    /** Measures the parameters. */
    run(params: HostTensors, executor: Executor): Promise<Metrics>;
  };
  /** The trained parameters as `model.safetensors` and the result hold them; default: as they are. */
  readonly finish?: (params: HostTensors) => Record<string, HostTensor>;
}

/** What every training returns. */
export interface TrainingResult {
  /** Parameters after the last step, in the names and layouts of the official state dict. */
  readonly params: Record<string, HostTensor>;
  /** The same with the moving average of what was trained and of the running statistics, with `emaDecay`. */
  readonly averaged?: Record<string, HostTensor>;
  /** Steps done in the whole run. */
  readonly step: number;
  /** Steps that an earlier process had done. */
  readonly resumedFrom: number;
  /** Scalars of the last step. */
  readonly metrics: Metrics;
}

/** A result, and the parameters before `finish`. */
export interface TrainedModel extends TrainingResult {
  readonly trained: Record<string, HostTensor>;
}

/** The key that a seed stands for. */
export const rootKey = (seed: TrainingSeed = 0): Key =>
  typeof seed === "object" && seed !== null ? seed : keyOf(seed);

/**
 * The one training loop of these packages: `pretrain`, `robustFinetune` and `linearProbe` describe their training as a
 * {@link TrainingTask} and this function runs it: batches, noise, schedule, step, log, checkpoints, exact resume.
 *
 * The same task, data and seed give the same numbers on the same executor, interrupted or not.
 *
 * @param data a data set, shuffled and augmented here as the recipe says, or a batch source of your own
 * @throws DmaeError "argument" for data that do not fit; "numeric" when the loss is not finite; "resume" for a folder of
 *   another run
 */
export async function trainModel(
  task: TrainingTask,
  data: ImageDataset | BatchSource,
  options: TrainingOptions = {},
): Promise<TrainedModel> {
  checkOptions("trainModel", options, trainingNames);
  const { caller, recipe, objective, evaluation, initialOptimizer } = task;
  const { folder, logEvery, onProgress, onEvaluation, signal } = options;
  const key = rootKey(options.seed);
  const { copies = 1 } = objective;
  const { workers, onCorrupt } = options;
  const world = ranksOf(caller, options.world);
  const rows = world && rankRows(caller, recipe.batchSize, objective.groups, world);
  const source = openImages(data, { ...task, key, copies, workers, onCorrupt, rows });
  try {
    const { stepsPerEpoch } = source;
    const checkpoints = checkpointSteps(caller, options, stepsPerEpoch);
    const everyEpochs = evaluation?.everyEpochs ?? 1;
    const every = stepsBetween(`${caller}: evaluation.everyEpochs`, everyEpochs, stepsPerEpoch);
    const train = taskStep(task, { stepsPerEpoch });
    const executor = options.executor ?? (await rankExecutor(world));
    const evaluate = evaluation && {
      every,
      run: (state: HostTensors) => evaluation.run(averagedParams(state), executor),
      best: { metric: "accuracy", mode: "max" } as const,
    };
    const result = await fit({
      executor,
      step: train.step,
      state: () => train.initState(task.params, initialOptimizer?.tensors),
      steps: recipe.epochs * stepsPerEpoch,
      stepsPerEpoch,
      batch: async (step) => {
        const epoch = Math.floor(step / stepsPerEpoch);
        const batch = await source.at(step);
        return { ...(await objective.inputs(batch, { key, step, epoch })), ...train.inputs(step) };
      },
      logExtra: (step) => ({ learningRate: train.learningRate(step) }),
      recipe: {
        ...{ task: task.task, data: "name" in data ? (data.name ?? null) : null },
        ...{ recipe, key, stepsPerEpoch },
        ...(task.given ? { pretrained: checksum(task.given) } : {}),
        ...(initialOptimizer ? { updateOffset: initialOptimizer.step } : {}),
      },
      ...checkpoints,
      ...(world && rows ? { ranks: await ranksOptions(world, train, recipe, rows, data) } : {}),
      ...{ evaluate, folder, logEvery, onProgress, onEvaluation, signal },
    });
    return await finished(task, result, world && world.rank > 0 ? undefined : folder);
  } finally {
    await source.close();
  }
}

async function ranksOptions(
  world: World,
  { split }: TrainStep,
  { batchSize }: TrainingRecipe,
  rows: Int32Array,
  data: ImageDataset | BatchSource,
): Promise<RanksOptions> {
  const facts = { data: await dataFacts(data), versions: await versions() };
  return { world, split, share: rows.length / batchSize, facts };
}

/**
 * The pure step of a task, for loops of your own and for parity tests: its batch is what `objective.inputs` gives, and
 * the step's own `inputs`.
 */
export function taskStep(
  task: Omit<TrainingTask, "caller" | "task" | "images">,
  run: { readonly stepsPerEpoch: number; readonly updateOffset?: number },
): TrainStep {
  const { recipe, objective, optimizer, trainable, buffers = [], clipNorm, emaDecay } = task;
  const { minLearningRate, warmupEpochs, epochs, batchSize, accumulate } = recipe;
  const learningRate = scaledLearningRate(recipe.baseLearningRate, batchSize * accumulate);
  return createTrainStep({
    loss: objective.loss,
    optimizer,
    trainable,
    buffers,
    schedule:
      task.schedule ?? cosineSchedule({ learningRate, minLearningRate, warmupEpochs, epochs }),
    stepsPerEpoch: run.stepsPerEpoch,
    updateOffset: run.updateOffset ?? task.initialOptimizer?.step ?? 0,
    accumulate,
    ...(clipNorm == null ? {} : { clipNorm }),
    ...(emaDecay == null ? {} : { emaDecay }),
  });
}

async function finished(
  task: TrainingTask,
  result: Awaited<ReturnType<typeof fit>>,
  folder: string | undefined,
): Promise<TrainedModel> {
  const { state, step, resumedFrom, metrics } = result;
  const trained = unprefixed("params.", state);
  const params = task.finish?.(trained) ?? trained;
  const notes = { recipe: JSON.stringify(task.recipe), step: String(step) };
  const save = (name: string, tensors: HostTensors) =>
    saveSafetensors(`${folder}/${name}.safetensors`, tensors, notes);
  if (folder !== undefined) await save("model", params);
  if (task.emaDecay == null) return { params, trained, step, resumedFrom, metrics };
  const average = averagedParams(state);
  const averaged = task.finish?.(average) ?? average;
  if (folder !== undefined) await save("averaged", averaged);
  return { params, trained, averaged, step, resumedFrom, metrics };
}

/** The parameters of a state; the moving average of what changes if the run keeps one. */
const averagedParams = (state: HostTensors): Record<string, HostTensor> => ({
  ...unprefixed("params.", state),
  ...unprefixed("ema.", state),
});
