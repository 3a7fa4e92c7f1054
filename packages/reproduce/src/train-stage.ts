import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError, foldIn } from "@dmae/core";
import { everyNth } from "@dmae/datasets";
import { linearProbe, robustFinetune } from "@dmae/finetune";
import { pretrain } from "@dmae/pretrain";
import type { TrainingProgress } from "@dmae/train";
import { epochMeans } from "./epochs.ts";
import { learningRateByStep } from "./learning-rate.ts";
import { progressLine } from "./progress.ts";
import {
  type ClassifierRecipe,
  isClassifierRecipe,
  type PretrainingRecipe,
  type Recipe,
} from "./recipe.ts";
import { logLine, type Run } from "./run.ts";
import { type Start, startOf } from "./start.ts";
import { eventFile, eventWriter } from "./tensorboard.ts";

/** Where a training stage leaves the parameters of its last step. */
export const modelFile = ({ folder, recipe }: Pick<Run, "folder" | "recipe">) =>
  join(folder, recipe.task, "model.safetensors");

/** Trains: pre-training (afresh or continued), fine-tuning or probing; goes on where an earlier process was. */
export async function trainStage(run: Run): Promise<void> {
  const { recipe, folder, key, options, data } = run;
  if (await stat(modelFile(run)).catch(() => undefined)) {
    run.say(`${recipe.task}: done before, ${modelFile(run)}`);
    return;
  }
  const smoke = options.smoke ? { key } : undefined;
  const start = await startOf(recipe, options.from, smoke);
  const stageKey = foldIn(key, recipe.task);
  const stepsPerEpoch = stepsOf(recipe, data);
  let damaged = 0;
  const onCorrupt = (error: DmaeError) => {
    damaged++;
    run.say(error.message);
    void logLine(run, { stage: recipe.task, event: "damaged image", message: error.message });
  };
  const stageFolder = join(folder, recipe.task);
  const events = eventWriter(eventFile(folder, recipe.task), join(stageFolder, "log.jsonl"));
  const watch = watcher(run, events, stepsPerEpoch);
  await logLine(run, { stage: recipe.task, event: "start", executor: run.executor.name });
  try {
    const training = { run, start, onCorrupt, seed: stageKey, folder: stageFolder, watch };
    const result = await (isClassifierRecipe(recipe)
      ? runClassifier(recipe, training)
      : runPretraining(recipe, training));
    await watch.end(result);
    await logLine(run, {
      stage: recipe.task,
      event: "end",
      ...result,
      damaged,
    });
  } finally {
    await events.close();
    await start?.close();
  }
}

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
  readonly onCorrupt: (error: DmaeError) => void;
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
  if (start === undefined)
    throw new DmaeError("argument", `--from: ${recipe.name} needs a pre-trained encoder`);
  const { step, resumedFrom, report } =
    recipe.task === "finetune"
      ? await robustFinetune(recipe.training, training.run.data.train, {
          ...shared,
          pretrained: start.source,
        })
      : await linearProbe(recipe.training, training.run.data.train, {
          ...shared,
          pretrained: start.source,
        });
  await logLine(run, {
    stage: recipe.task,
    event: "parameters",
    created: report?.created,
    ignored: report?.ignored.length,
  });
  return { step, resumedFrom };
}

function common({ run, onCorrupt, seed, folder, watch }: Training) {
  const { keepEvery, checkpointEvery, workers } = run.options;
  return {
    executor: run.executor,
    ...{ seed, workers, onCorrupt },
    folder,
    checkpointEveryEpochs: checkpointEvery,
    ...(keepEvery === undefined ? {} : { keepEveryEpochs: keepEvery }),
    onProgress: watch.step,
    signal: run.signal,
  };
}

/** Follows a training: progress line, TensorBoard, a line of the log for each epoch. */
function watcher(run: Run, events: ReturnType<typeof eventWriter>, stepsPerEpoch: number) {
  const { task, training }: Recipe = run.recipe;
  const line = progressLine(task, "micro-batches", run.say);
  const learningRate = learningRateByStep(run.recipe, stepsPerEpoch);
  const epochs = epochMeans();
  let pending: Promise<unknown> = Promise.resolve();
  const later = (work: () => Promise<unknown>) => {
    pending = pending.then(work);
    pending.catch(() => {}); // told by `end`
  };
  return {
    step(progress: TrainingProgress) {
      const { step, steps, metrics, stepsPerSecond } = progress;
      line.update(step, steps, `loss ${metrics.loss?.toFixed(4)}`);
      const imagesPerSecond = stepsPerSecond * training.batchSize;
      const values = Object.entries(metrics).map(([name, value]) => [`train/${name}`, value]);
      later(() =>
        events.add(step, {
          ...Object.fromEntries(values),
          "train/learningRate": learningRate(step - 1),
          "train/imagesPerSecond": imagesPerSecond,
        }),
      );
      const finished = epochs.add(progress);
      if (finished)
        later(() => logLine(run, { stage: task, event: "epoch", ...finished, imagesPerSecond }));
    },
    evaluation(metrics: Readonly<Record<string, number>>, step: number) {
      later(() => logLine(run, { stage: task, event: "evaluation", step, ...metrics }));
      const values = Object.entries(metrics).map(([name, value]) => [`evaluation/${name}`, value]);
      later(() => events.add(step, Object.fromEntries(values)));
    },
    async end({ step, resumedFrom }: { step: number; resumedFrom: number }) {
      await pending;
      line.end(`${step} micro-batches${resumedFrom > 0 ? `, ${resumedFrom} of them before` : ""}`);
    },
  };
}
