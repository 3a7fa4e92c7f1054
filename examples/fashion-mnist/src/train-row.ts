import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createMethod, type MethodSettings } from "@dmae/certified-training";
import { compiledExecutor } from "@dmae/compile";
import type { ConvNet } from "@dmae/convnet";
import { DmaeError, foldIn, type ImageDataset, type Key, key } from "@dmae/core";
import { batchLoader } from "@dmae/datasets";
import { linearProbe, robustFinetune, type TrainedClassifier } from "@dmae/finetune";
import { type PretrainRecipe, pretrain } from "@dmae/pretrain";
import type { Precision } from "@dmae/reproduce/program";
import { progressLine } from "@dmae/reproduce/progress";
import type { TrainingProgress } from "@dmae/train";
import { augmentationOperations } from "@dmae/train/tasks";
import type { MethodRow } from "./method-rows.ts";
import type { Row } from "./recipes.ts";
import { softLabels } from "./soft-labels.ts";

/** Where unfinished and finished runs are kept; ignored by git. */
export const runs = fileURLToPath(new URL("../runs", import.meta.url));

/** What the trainings of one command share. */
export interface Training {
  readonly seed: number;
  /** What the products are computed in; between them everything is float32. */
  readonly precision: Precision;
  readonly train: ImageDataset;
  readonly test: ImageDataset;
  readonly signal: AbortSignal;
}

/** The run folder of a row or a pre-training. */
export const runFolder = (name: string, seed: number) => join(runs, `${name}-seed-${seed}`);

/**
 * What every training is told: where to run, where checkpoints go, whom to tell.
 *
 * @throws DmaeError "resume" for a run that was begun with another precision
 */
export function running({ seed, precision, signal }: Training, name: string, folder: string) {
  const line = progressLine(name, "steps");
  claimPrecision(runFolder(folder, seed), precision);
  return {
    executor: compiledExecutor({ precision }),
    seed: foldIn(key(seed), name),
    folder: runFolder(folder, seed),
    checkpointEveryEpochs: 0.25,
    logEvery: 20,
    signal,
    onProgress: ({ step, steps, metrics }: TrainingProgress) =>
      line.update(step, steps, `loss ${metrics.loss?.toFixed(4)}`),
  };
}

/** Notes the precision of a run beside its folder, and refuses another one. */
function claimPrecision(folder: string, precision: Precision): void {
  const file = `${folder}.precision`;
  const before = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
  if (before === "") {
    // or killed between making the file and filling it: nothing was begun
    mkdirSync(runs, { recursive: true });
    writeFileSync(file, `${precision}\n`, { flush: true });
    return;
  }
  if (before !== precision)
    throw new DmaeError(
      "resume",
      `--precision: ${folder} was begun in ${before}, got ${precision}; give --precision ${before} to go on`,
    );
}

/** What a recipe says of its batches. */
type BatchRecipe = Pick<PretrainRecipe, "batchSize" | "augmentation">;

/** The images in a new order and augmented anew in each epoch. */
export const augmented = (train: ImageDataset, recipe: BatchRecipe, order: Key) =>
  batchLoader(train, {
    batchSize: recipe.batchSize,
    shuffle: true,
    dropLast: true,
    key: order,
    transform: augmentationOperations(recipe.augmentation ?? {}, train.imageShape[0]),
  });

/** The encoder of a pre-training, which rows share, as the option that takes it. */
export async function preTrained(recipe: PretrainRecipe, training: Training) {
  const order = foldIn(key(training.seed), "pretrain-data");
  const images = augmented(training.train, recipe, order);
  const { encoder } = await pretrain(recipe, images, running(training, "pretrain", recipe.name!));
  return { pretrained: encoder };
}

/**
 * Pre-training, which rows share, then fine-tuning or probing; a finished run is only read.
 *
 * @throws the signal's reason after a checkpoint, when it is aborted
 */
export async function trainRow(row: Row, training: Training): Promise<TrainedClassifier> {
  const { seed, train } = training;
  const { name, pretraining, finetuning, probing } = row;
  const images = (recipe: BatchRecipe, data: string) =>
    augmented(train, recipe, foldIn(key(seed), data));
  const encoder = pretraining && (await preTrained(pretraining, training));
  if (probing)
    return linearProbe(probing, images(probing, "probe-data"), {
      ...running(training, "probe", name),
      ...encoder!,
    });
  return robustFinetune(finetuning!, images(finetuning!, "finetune-data"), {
    ...running(training, "finetune", name),
    ...encoder,
  });
}

/**
 * A published method from scratch, measured on the test set under one draw of noise after each epoch.
 *
 * @param epochs stops after this many more; default: the whole schedule
 */
export async function trainMethod(
  { name, recipe }: MethodRow,
  training: Training,
  epochs = Number.POSITIVE_INFINITY,
): Promise<TrainedClassifier | undefined> {
  const { seed, train, test } = training;
  const enough = new AbortController();
  const signal = AbortSignal.any([training.signal, enough.signal]);
  const options = running({ ...training, signal }, name, name);
  const needsLabels = createMethod(recipe.method as MethodSettings).needsSoftLabels;
  const labels = needsLabels && {
    softLabels: await softLabels(recipe.model as ConvNet, train, {
      ...{ executor: options.executor, signal: training.signal },
      trained: runFolder("gaussian-0.25", seed),
      file: join(runs, `soft-labels-seed-${seed}.safetensors`),
    }),
  };
  let left = epochs;
  const run = robustFinetune(recipe, train, {
    ...options,
    ...labels,
    evaluation: { dataset: test },
    onEvaluation: () => {
      left--;
      if (left === 0) enough.abort();
    },
  });
  return run.catch((error: unknown) => {
    if (enough.signal.aborted && error === enough.signal.reason) return undefined; // after a checkpoint
    throw error;
  });
}

/** Seconds that the run folder's training took so far, as its log has them; a resumed run begins again at 0. */
export function trainingSeconds(folder: string): number {
  const log = join(folder, "log.jsonl");
  if (!existsSync(log)) return 0;
  let [total, last] = [0, 0];
  for (const line of readFileSync(log, "utf8").trim().split("\n")) {
    const { seconds } = JSON.parse(line) as { seconds?: number };
    if (seconds === undefined) continue;
    if (seconds < last) total += last;
    last = seconds;
  }
  return total + last;
}
