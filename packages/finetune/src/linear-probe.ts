import { saveSafetensors } from "@dmae/checkpoint";
import { foldIn, type HostTensor, type HostTensors, type ImageDataset, type Key } from "@dmae/core";
import { type Executor, ones, type PreparedFunction, truncatedNormal, zeros } from "@dmae/nn";
import {
  type BatchSource,
  batchNoise,
  checkpointSteps,
  dataName,
  fit,
  type ImageTransform,
  type Metrics,
  noiseKeys,
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
import * as tf from "@tensorflow/tfjs-core";
import { evaluate } from "./evaluate.ts";
import { checkEvaluation } from "./evaluation-checks.ts";
import { softTargets } from "./mixing.ts";
import { checkProbeRecipe, type LinearProbeRecipe } from "./probe-recipe.ts";
import { foldProbe, probeStep } from "./probe-step.ts";
import type { FinetuneEvaluation } from "./robust-finetune.ts";

/** Options of {@link linearProbe}. */
export interface LinearProbeOptions {
  /** Runs features and steps. */
  readonly executor: Executor;
  /** Keys the head, order, augmentation and noise. */
  readonly key: Key;
  /** The pre-trained encoder: a checkpoint, or the `params` of `pretrain`. */
  readonly pretrained: TensorSource | HostTensors;
  /** What may differ between `pretrained` and the classifier. */
  readonly loading?: Omit<FromPretrainedOptions, "key">;
  /** Run folder: log, checkpoints, `model.safetensors` at the end; a run found there is resumed. */
  readonly folder?: string;
  /** Augmentation of each image, where a data set (not a batch source) is given. */
  readonly transform?: ImageTransform;
  /** Regular evaluations under noise. */
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

/** What {@link linearProbe} returns. */
export interface LinearProbeResult {
  /** Encoder and head as a plain classifier for `vit.logits`: the running statistics are folded into the head. */
  readonly params: Record<string, HostTensor>;
  /** The head as the official script keeps it: `head.0.running_mean`, `head.0.running_var`, `head.1.weight`, `head.1.bias`. */
  readonly head: Record<string, HostTensor>;
  /** The classifier. */
  readonly vit: ViT;
  /** What was loaded, created and ignored. */
  readonly report: PretrainedReport;
  /** Steps done in the whole run. */
  readonly step: number;
  /** Steps that an earlier process had done. */
  readonly resumedFrom: number;
  /** Scalars of the last step. */
  readonly metrics: Metrics;
}

/**
 * Trains a linear classifier on the frozen features of noisy images, as the official `main_linprobe.py`: batch
 * normalisation without gain and bias in front of the head, cross entropy, LARS.
 *
 * @param data a data set, shuffled here, or a batch source such as `batchLoader(…)` of `@dmae/datasets`
 *
 * @example
 * const { vit, params } = await linearProbe(recipe, train, { executor, key: key(0), pretrained: encoder.params });
 */
export async function linearProbe(
  recipe: LinearProbeRecipe,
  data: ImageDataset | BatchSource,
  options: LinearProbeOptions,
): Promise<LinearProbeResult> {
  checkProbeRecipe(recipe);
  const { executor, key, folder, transform, evaluation } = options;
  const vit = createViT(recipe.model, recipe.config);
  const { inputSize, channels, numClasses } = vit.config;
  requireImages(data, {
    caller: "linearProbe",
    imageShape: [inputSize, inputSize, channels],
    numClasses,
    augments: recipe.augmentation !== null,
    transform,
  });
  if (evaluation) checkEvaluation("linearProbe", vit.config, evaluation);
  const { batchSize } = recipe;
  const shuffled = { batchSize, key: foldIn(key, "data"), ...(transform ? { transform } : {}) };
  const source = withBatchSize(toBatchSource(data, shuffled), batchSize, "linearProbe");
  const { stepsPerEpoch } = source;
  const checkpoints = checkpointSteps("linearProbe", options, stepsPerEpoch);
  const evaluateEvery = stepsBetween(
    "linearProbe: evaluation.everyEpochs",
    evaluation?.everyEpochs ?? 1,
    stepsPerEpoch,
  );
  const { params: encoder, report } = await fromPretrained(vit, options.pretrained, {
    ...options.loading,
    fresh: ["head.*", ...(options.loading?.fresh ?? [])],
    key: foldIn(key, "init"),
  });
  const train = probeStep(recipe, { stepsPerEpoch });
  const features = await featureFunction(vit, encoder, recipe, source, executor);
  try {
    const result = await fit({
      executor,
      step: train.step,
      state: () => train.initState(initHead(vit, foldIn(key, "init"))),
      steps: recipe.epochs * stepsPerEpoch,
      stepsPerEpoch,
      batch: async (step) => ({
        ...(await probeInputs(features, source, vit, { key, step })),
        ...train.inputs(step),
      }),
      logExtra: (step) => ({ learningRate: train.learningRate(step) }),
      recipe: { task: "linear-probe", data: dataName(data), recipe, key, stepsPerEpoch },
      ...checkpoints,
      ...(evaluation
        ? {
            evaluate: {
              every: evaluateEvery,
              run: async (state) => {
                const params = withHead(encoder, unprefixed("params.", state));
                const { accuracy, loss } = await evaluate(vit, params, evaluation.dataset, {
                  executor,
                  sigma: evaluation.sigma ?? recipe.sigma,
                  key: foldIn(key, "evaluation"),
                  ...pick(evaluation, ["limit"]),
                  ...pick(options, ["signal"]),
                });
                return { accuracy, loss };
              },
              best: { metric: "accuracy", mode: "max" },
            },
          }
        : {}),
      ...pick(options, ["folder", "logEvery", "onProgress", "onEvaluation", "signal"]),
    });
    const head = unprefixed("params.", result.state);
    const params = withHead(encoder, head);
    if (folder !== undefined)
      await saveSafetensors(`${folder}/model.safetensors`, params, {
        recipe: JSON.stringify(recipe),
        step: String(result.step),
      });
    const { step, resumedFrom, metrics } = result;
    return { params, head, vit, report, step, resumedFrom, metrics };
  } finally {
    features.dispose();
  }
}

/** Initial head: running statistics 0 and 1, weights truncated normal with 0.01 as in the official script. */
export function initHead({ config }: ViT, key: Key): Record<string, HostTensor> {
  const { width, numClasses } = config;
  return {
    "head.0.running_mean": zeros([width]),
    "head.0.running_var": ones([width]),
    "head.1.weight": truncatedNormal(foldIn(key, "head.1.weight"), [numClasses, width], 0.01),
    "head.1.bias": zeros([numClasses]),
  };
}

function withHead(encoder: HostTensors, head: HostTensors): Record<string, HostTensor> {
  const all: HostTensors = { ...encoder, ...foldProbe(head) };
  return Object.fromEntries(Object.keys(encoder).map((name) => [name, all[name]!]));
}

/** `images + sigma noise -> features`, with the encoder kept on the backend. */
async function featureFunction(
  vit: ViT,
  encoder: HostTensors,
  { sigma, batchSize }: LinearProbeRecipe,
  { imageShape }: BatchSource,
  executor: Executor,
): Promise<PreparedFunction> {
  const constants = Object.fromEntries(
    Object.entries(encoder).filter(([name]) => !name.startsWith("head.")),
  );
  const shape = [batchSize, ...imageShape];
  return executor.prepareFunction(
    ({ images, noise, ...params }) => ({
      features: vit.features(params, tf.add(images!, tf.mul(noise!, sigma))),
    }),
    { constants, inputs: { images: { shape }, noise: { shape } } },
  );
}

async function probeInputs(
  features: PreparedFunction,
  source: BatchSource,
  { config }: ViT,
  { key, step }: { readonly key: Key; readonly step: number },
): Promise<HostTensors> {
  const batch = await source.at(step);
  const epoch = Math.floor(step / source.stepsPerEpoch);
  const shape = [batch.size, ...batch.imageShape];
  const made = await features.run({
    images: { dtype: "float32", shape, data: batch.images },
    noise: { dtype: "float32", shape, data: batchNoise(batch, noiseKeys(key, 1)(epoch)) },
  });
  return {
    features: made.features!,
    targets: softTargets(batch.labels, config.numClasses, 0),
  };
}
