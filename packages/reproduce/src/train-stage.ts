import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError, foldIn } from "@dmae/core";
import { gatherTexts } from "@dmae/core/ranks";
import { everyNth } from "@dmae/datasets";
import { linearProbe, type RobustFinetuneOptions, robustFinetune } from "@dmae/finetune";
import { pretrain } from "@dmae/pretrain";
import type { TrainingProgress } from "@dmae/train";
import { epochMeans } from "./epochs.ts";
import { learningRateByStep } from "./learning-rate.ts";
import { finetuneRecipeOf } from "./model.ts";
import { modelFile, trainingParts } from "./model-files.ts";
import { progressLine } from "./progress.ts";
import {
  type ClassifierRecipe,
  type FinetuningRecipe,
  isClassifierRecipe,
  type PretrainingRecipe,
  type Recipe,
} from "./recipe.ts";
import { isFirst, logLine, type Run } from "./run.ts";
import { softLabelsFor } from "./soft-label-source.ts";
import { type Start, startOf } from "./start.ts";
import { type EventWriter, eventFile, eventWriter } from "./tensorboard.ts";
import { writeQueue } from "./write-queue.ts";

/** Trains: pre-training (afresh or continued), fine-tuning or probing; goes on where an earlier process was. */
export async function trainStage(run: Run): Promise<void> {
  for (const part of trainingParts(run.recipe)) await trainPart(run, part);
}

async function trainPart(run: Run, part: string): Promise<void> {
  const { recipe, folder, key, options, data } = run;
  const file = modelFile(run, part);
  if (await isThere(run, file)) {
    run.say(`${part}: done before, ${file}`);
    return;
  }
  const smoke = options.smoke ? { key } : undefined;
  const start = await startOf(recipe, options.from, smoke);
  const stageKey = foldIn(key, part);
  const stepsPerEpoch = stepsOf(recipe, data);
  const stageFolder = join(folder, part);
  const events = isFirst(run.world)
    ? eventWriter(eventFile(folder, part), join(stageFolder, "log.jsonl"))
    : noEvents;
  const watch = watcher(run, part, events, stepsPerEpoch);
  await logLine(run, { stage: part, event: "start", executor: run.executor.name });
  try {
    const training = { run, start, seed: stageKey, folder: stageFolder, watch };
    const result = await (isClassifierRecipe(recipe)
      ? runClassifier(recipe, training)
      : runPretraining(recipe, training));
    const damaged = await watch.end(result);
    await logLine(run, { stage: part, event: "end", ...result, damaged });
  } finally {
    await events.close();
    await start?.close();
  }
}

/** Whether rank 0 finds a file. */
async function isThere({ world }: Run, file: string): Promise<boolean> {
  const found = (await stat(file).catch(() => undefined)) ? "yes" : "";
  return (world ? (await gatherTexts(world, found))[0] : found) === "yes";
}

/** Rank 0 writes the events. */
const noEvents: EventWriter = { add: async () => {}, close: async () => {} };

/** Micro-batches in an epoch. */
function stepsOf({ training }: Recipe, { train }: Run["data"]): number {
  const { batchSize, accumulate } = training;
  if (train.length < batchSize * accumulate)
    throw new DmaeError(
      "argument",
      `data: ${train.name} has ${train.length} images, fewer than the effective batch of ${batchSize} x ${accumulate}; set batchSize or accumulate`,
    );
  return Math.floor(train.length / batchSize);
}

interface Training {
  readonly run: Run;
  readonly start: Start | undefined;
  readonly seed: Run["key"];
  readonly folder: string;
  readonly watch: ReturnType<typeof watcher>;
}

async function runPretraining(recipe: PretrainingRecipe, training: Training) {
  const initial = await training.start?.whole();
  const { step, resumedFrom } = await pretrain(recipe.training, training.run.data.train, {
    ...initial,
    ...common(training),
  });
  return { step, resumedFrom };
}

async function runClassifier(recipe: ClassifierRecipe, training: Training) {
  const { run, watch, start } = training;
  const { voteEvery } = recipe.evaluation;
  const shared = {
    ...common(training),
    evaluation: { dataset: everyNth(run.data.test, voteEvery) },
    onEvaluation: watch.evaluation,
  };
  const { train } = run.data;
  const pretrained = start?.source;
  const { step, resumedFrom, report } =
    recipe.task === "finetune"
      ? await finetuned(recipe, run, { ...shared, ...(pretrained ? { pretrained } : {}) })
      : await linearProbe(recipe.training, train, { ...shared, pretrained: requireStart(start) });
  await logLine(run, {
    stage: recipe.task,
    event: "parameters",
    created: report?.created,
    ignored: report?.ignored.length,
  });
  return { step, resumedFrom };
}

/** Fine-tuning with the soft labels that `--soft-labels` names, where the method needs some. */
async function finetuned(recipe: FinetuningRecipe, run: Run, options: RobustFinetuneOptions) {
  const softLabels = await softLabelsFor(run, recipe);
  const training = finetuneRecipeOf(recipe.training);
  return robustFinetune(training, run.data.train, { ...options, softLabels });
}

function requireStart(start: Start | undefined): Start["source"] {
  if (start) return start.source;
  throw new DmaeError("argument", "--from: a linear probe needs a pre-trained encoder");
}

function common({ run, seed, folder, watch }: Training) {
  const { keepEvery, checkpointEvery, workers } = run.options;
  return {
    executor: run.executor,
    ...{ seed, workers, onCorrupt: watch.damaged },
    folder,
    checkpointEveryEpochs: checkpointEvery,
    ...(keepEvery === undefined ? {} : { keepEveryEpochs: keepEvery }),
    ...(run.world === undefined ? {} : { world: run.world }),
    onProgress: watch.step,
    signal: run.signal,
  };
}

/** Follows a training: progress line, TensorBoard, a line of the log for each epoch and each damaged image. */
function watcher(
  run: Run,
  task: string,
  events: ReturnType<typeof eventWriter>,
  stepsPerEpoch: number,
) {
  const { training } = run.recipe;
  const line = progressLine(task, "micro-batches", run.say);
  const learningRate = learningRateByStep(run.recipe, stepsPerEpoch);
  const epochs = epochMeans();
  const writes = writeQueue((error) => {
    const { message } = error as Error;
    run.say(`${task}: the training goes on, though its log cannot be written: ${message}`);
  });
  let damaged = 0;
  return {
    step(progress: TrainingProgress) {
      const { step, steps, metrics, stepsPerSecond } = progress;
      line.update(step, steps, `loss ${metrics.loss?.toFixed(4)}`);
      const imagesPerSecond = stepsPerSecond * training.batchSize;
      const values = Object.entries(metrics).map(([name, value]) => [`train/${name}`, value]);
      writes.add(() =>
        events.add(step, {
          ...Object.fromEntries(values),
          "train/learningRate": learningRate(step - 1),
          "train/imagesPerSecond": imagesPerSecond,
        }),
      );
      const finished = epochs.add(progress);
      if (finished)
        writes.add(() =>
          logLine(run, { stage: task, event: "epoch", ...finished, imagesPerSecond }),
        );
    },
    evaluation(metrics: Readonly<Record<string, number>>, step: number) {
      writes.add(() => logLine(run, { stage: task, event: "evaluation", step, ...metrics }));
      const values = Object.entries(metrics).map(([name, value]) => [`evaluation/${name}`, value]);
      writes.add(() => events.add(step, Object.fromEntries(values)));
    },
    damaged({ message }: DmaeError) {
      damaged++;
      run.say(message);
      writes.add(() => logLine(run, { stage: task, event: "damaged image", message }));
    },
    /** Waits until all is written, and returns how many images were damaged. */
    async end({ step, resumedFrom }: { step: number; resumedFrom: number }) {
      await writes.end();
      line.end(`${step} micro-batches${resumedFrom > 0 ? `, ${resumedFrom} of them before` : ""}`);
      return damaged;
    },
  };
}
