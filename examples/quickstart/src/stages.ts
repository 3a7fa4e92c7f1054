import { join } from "node:path";
import { foldIn, type HostTensors, type ImageDataset, type Key } from "@dmae/core";
import { batchLoader } from "@dmae/datasets";
import { randomHorizontalFlip } from "@dmae/datasets/transforms";
import { robustFinetune } from "@dmae/finetune";
import type { Executor } from "@dmae/nn";
import { pretrain } from "@dmae/pretrain";
import { progressLine } from "@dmae/reproduce/progress";
import { type Classifier, certifyDataset, type LogRow } from "@dmae/smoothing-certify";
import type { TrainingProgress } from "@dmae/train";
import type { ViT } from "@dmae/vit";
import { vitClassifier } from "./certify.ts";
import type { Options } from "./options.ts";
import { finetuning, pretraining } from "./recipe.ts";

/** What the stages of one run share. */
export interface Run {
  options: Options;
  folder: string;
  /** Every draw follows from it. */
  root: Key;
  executor: Executor;
  /** The executor in words. */
  runner: string;
  train: ImageDataset;
  test: ImageDataset;
  signal: AbortSignal;
  /** When this session began, in milliseconds. */
  started: number;
}

/** Samples of the selection, and the probability of a wrong certificate: those of the field. */
export const certification = { n0: 100, alpha: 0.001 };

/** What both trainings are told: where and how to run, where checkpoints go, whom to tell. */
function training(
  { folder, root, executor, signal }: Run,
  name: string,
  line: ReturnType<typeof progressLine>,
) {
  return {
    executor,
    seed: foldIn(root, name),
    folder: join(folder, name),
    checkpointEveryEpochs: 0.25,
    signal,
    onProgress: ({ step, steps, metrics }: TrainingProgress) =>
      line.update(step, steps, `loss ${metrics.loss?.toFixed(4)}`),
  };
}

/** Steps 1 and 2: corrupt, mask, reconstruct. */
export async function pretrainStage(run: Run) {
  const progress = progressLine("1/3 pre-training", "steps");
  const settings = training(run, "pretrain", progress);
  const result = await pretrain(pretraining(run.options), run.train, settings);
  progress.end(`${result.step} steps done`);
  return result;
}

/** Step 3: a head in place of the decoder, fine-tuned under noise with consistency regularisation. */
export async function finetuneStage(run: Run, pretrained: HostTensors) {
  const { options, root, train } = run;
  const recipe = finetuning(options);
  const progress = progressLine("2/3 fine-tuning", "steps");
  const flipped = batchLoader(train, {
    batchSize: recipe.batchSize,
    shuffle: true,
    dropLast: true,
    key: foldIn(root, "finetune-data"),
    transform: [randomHorizontalFlip()],
  });
  const settings = training(run, "finetune", progress);
  const result = await robustFinetune(recipe, flipped, { ...settings, pretrained });
  progress.end(`${result.step} steps done`);
  return result;
}

/** Multiples of ten, where that leaves enough images: published logs can then be compared. */
const everyTenth = (skip: number) => (skip < 10 ? Math.floor(skip) : 10 * Math.floor(skip / 10));

/** Step 4: the fine-tuned ViT as a classifier that can be smoothed. */
export const classifierStage = (
  { options: { sigma, precision }, root: key, executor, train: dataset }: Run,
  vit: ViT,
  params: HostTensors,
) => vitClassifier(vit, params, { executor, precision, calibration: { dataset, sigma, key } });

/** Step 5: a certificate for each chosen test image. */
export async function certifyStage(run: Run, classifier: Classifier & { dispose: () => unknown }) {
  const { options, folder, test, signal } = run;
  const { sigma, seed, n, images, precision } = options;
  const progress = progressLine(options.pretrained ? "certifying" : "3/3 certifying", "images");
  const suffix = precision === "int8" ? "-int8" : "";
  const log = join(folder, `certify-n-${n}-images-${images}${suffix}.tsv`);
  const rows: LogRow[] = [];
  for await (const row of certifyDataset(classifier, test, {
    ...certification,
    sigma,
    n,
    seed,
    skip: everyTenth(test.length / images),
    max: images,
    log,
    signal,
    onProgress: ({ done, total, rate }) =>
      progress.update(done, total, `${Math.round(rate)} noisy images/s`),
  }))
    rows.push(row);
  await classifier.dispose();
  progress.end(`${rows.length} test images`);
  return { rows, log };
}
