import { foldIn, type HostTensors, type Key, key, uniform } from "@dmae/core";
import { buildModel, finetuneInputs, finetuneTask } from "@dmae/finetune/tasks";
import type { Executor, Params } from "@dmae/nn";
import { createDmae } from "@dmae/pretrain";
import { pretrainInputs, pretrainTask } from "@dmae/pretrain/tasks";
import type { TrainStep } from "@dmae/train";
import { specsOf, taskStep } from "@dmae/train/tasks";
import { finetuneRecipeOf, modelOf } from "./model.ts";
import type { FinetuningRecipe, PretrainingRecipe, ProbingRecipe, Recipe } from "./recipe.ts";
import { evenSoftLabels } from "./soft-label-source.ts";

/** What one training step took here. */
export interface StepMeasurement {
  /** Images in the measured micro-batch. */
  readonly images: number;
  /** Seconds of a micro-batch, the second one after preparation. */
  readonly seconds: number;
  /** Largest memory of the process so far, bytes. */
  readonly peakBytes: number;
}

/** Runs two micro-batches of random images and times the second. */
export async function measureStep(recipe: Recipe, executor: Executor): Promise<StepMeasurement> {
  const images = Math.min(recipe.training.batchSize, 2);
  const seconds = await secondsOf(recipe, images, executor);
  return { images, seconds, peakBytes: 1024 * process.resourceUsage().maxRSS };
}

function secondsOf(recipe: Recipe, images: number, executor: Executor): Promise<number> {
  if (recipe.task === "finetune") return timeFinetuning(recipe, images, executor);
  if (recipe.task === "probe") return timeFeatures(recipe, images, executor);
  return timePretraining(recipe as PretrainingRecipe, images, executor);
}

function timePretraining({ training }: PretrainingRecipe, batchSize: number, executor: Executor) {
  const dmae = createDmae(training.model, { sigma: training.sigma });
  const batch = randomBatch(batchSize, dmae.config.inputSize, dmae.config.channels);
  const { maskRatio } = training;
  const params = dmae.initHost(key(0));
  const task = pretrainTask(dmae, { ...training, batchSize, accumulate: 1 }, params);
  const train = taskStep(task, { stepsPerEpoch: 100 });
  const inputs = pretrainInputs(batch, { key: key(0), epoch: 0, length: dmae.length, maskRatio });
  return timeStep(train, params, inputs, executor);
}

function timeFinetuning({ training }: FinetuningRecipe, batchSize: number, executor: Executor) {
  const model = modelOf(training);
  const batch = randomBatch(batchSize, model.config.inputSize, model.config.channels);
  const params = model.initHost(key(0));
  const changed = { ...finetuneRecipeOf(training), batchSize, accumulate: 1 };
  const train = taskStep(finetuneTask(model, changed, params), { stepsPerEpoch: 100 });
  const { numClasses } = model;
  const shape =
    "features" in model
      ? model.config
      : { imageSize: model.config.inputSize, numClasses, depth: 0 };
  const softLabels = evenSoftLabels(batchSize, numClasses);
  const first = { key: key(0), step: 0, epoch: 0 };
  const inputs = finetuneInputs(changed, batch, { ...first, model: shape, softLabels });
  return timeStep(train, params, inputs, executor);
}

/** Features are all but the whole cost of a probe. */
async function timeFeatures({ training }: ProbingRecipe, batchSize: number, executor: Executor) {
  const vit = buildModel(training.model);
  const { images, imageShape } = randomBatch(batchSize, vit.config.inputSize, vit.config.channels);
  const shape = [batchSize, ...imageShape];
  const prepared = await executor.prepareFunction({
    fn: ({ images: input, ...weights }) => ({ features: vit.features(weights as Params, input!) }),
    specs: { images: { shape } },
    constants: vit.initHost(key(0)),
  });
  const inputs = { images: { dtype: "float32", shape, data: images } } as const;
  const seconds = await secondCall(() => prepared(inputs));
  prepared.dispose();
  return seconds;
}

async function timeStep(
  train: TrainStep,
  params: HostTensors,
  batch: HostTensors,
  executor: Executor,
): Promise<number> {
  const inputs = { ...batch, ...train.inputs(1) };
  const prepared = await executor.prepareStep(train.step, {
    state: train.initState(params),
    batch: specsOf(inputs),
  });
  const seconds = await secondCall(() => prepared(inputs));
  prepared.dispose();
  return seconds;
}

/** Seconds of the second call; the first one warms up. */
async function secondCall(call: () => Promise<unknown>): Promise<number> {
  await call();
  const began = performance.now();
  await call();
  return (performance.now() - began) / 1000;
}

function randomBatch(size: number, side: number, channels: number) {
  const random: Key = foldIn(key(0), "images");
  return {
    images: uniform(random, new Float32Array(size * side * side * channels)) as Float32Array,
    labels: new Int32Array(size),
    indices: Int32Array.from({ length: size }, (_, i) => i),
    size,
    imageShape: [side, side, channels] as const,
  };
}
