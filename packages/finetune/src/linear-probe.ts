import { foldIn, type HostTensor, type HostTensors, type ImageDataset, type Key } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { ranksOf } from "@dmae/core/ranks";
import type { Executor, PreparedFunction, TensorSpec } from "@dmae/nn";
import { ones, truncatedNormal, zeros } from "@dmae/nn/layers";
import type { BatchSource, Objective, OpenRecipe, TrainingResult } from "@dmae/train";
import {
  batchNoise,
  noiseKeys,
  rankExecutor,
  rankRows,
  rootKey,
  trainModel,
  withDefaultBatch,
} from "@dmae/train/tasks";
import { fromPretrained, type PretrainedReport, type ViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";
import { trainingEvaluation } from "./evaluate-training.ts";
import { softTargets } from "./mixing.ts";
import { checkProbeRecipe, type LinearProbeRecipe, normGroup } from "./probe-recipe.ts";
import { foldProbe, probeTask } from "./probe-step.ts";
import { buildModel } from "./recipe.ts";
import { finetuneNames, type RobustFinetuneOptions } from "./robust-finetune.ts";
import { type TrainedClassifier, trainedClassifier } from "./trained-classifier.ts";

/** Options of {@link linearProbe}. */
export type LinearProbeOptions = Omit<RobustFinetuneOptions, "softLabels"> & {
  readonly pretrained: NonNullable<RobustFinetuneOptions["pretrained"]>;
};

const { softLabels: _, ...probeNames } = finetuneNames;

/** What {@link linearProbe} returns; the running statistics are folded into the head of `params`. */
export interface LinearProbeResult extends TrainingResult, TrainedClassifier {
  /** The head as the official script keeps it: `head.0.running_mean`, `head.0.running_var`, `head.1.weight`, `head.1.bias`. */
  readonly head: Record<string, HostTensor>;
  /** The classifier. */
  readonly vit: ViT;
  /** What was loaded, created and ignored. */
  readonly report: PretrainedReport;
}

/**
 * Trains a linear classifier on the frozen features of noisy images, as the official `main_linprobe.py`: batch
 * normalisation without gain and bias in front of the head, cross entropy, LARS.
 *
 * @param given a recipe of {@link linearProbeRecipe} or {@link linearProbeRecipes}, or one of your own
 * @param data a data set, shuffled and augmented here, or a batch source such as `batchLoader(…)` of `@dmae/datasets`
 *
 * @example
 * const { vit, params } = await linearProbe(recipe, train, { pretrained: encoder, seed: 0 });
 */
export async function linearProbe(
  given: LinearProbeRecipe | OpenRecipe<LinearProbeRecipe>,
  data: ImageDataset | BatchSource,
  options: LinearProbeOptions,
): Promise<LinearProbeResult> {
  checkOptions("linearProbe", options, probeNames);
  const recipe = withDefaultBatch<LinearProbeRecipe>("linearProbe", given, data);
  checkProbeRecipe(recipe);
  const key = rootKey(options.seed);
  const vit = buildModel(recipe.model);
  const { inputSize, channels, numClasses } = vit.config;
  const images = { imageShape: [inputSize, inputSize, channels], numClasses } as const;
  const init = foldIn(key, "init");
  const loading = { ...options.loading, fresh: ["head.*", ...(options.loading?.fresh ?? [])] };
  let encoder: HostTensors = {};
  const finish = (head: HostTensors) => withHead(encoder, head);
  const { sigma } = recipe;
  const evaluation = trainingEvaluation("linearProbe", vit, options, { key, sigma }, finish);
  const loaded = await fromPretrained(vit, options.pretrained, { ...loading, key: init });
  encoder = loaded.params;
  const world = ranksOf("linearProbe", options.world);
  const own = world && rankRows("linearProbe", recipe.batchSize, normGroup(recipe), world).length;
  const executor = options.executor ?? (await rankExecutor(world));
  const features = await featureFunction(vit, encoder, own ?? recipe.batchSize, recipe, executor);
  try {
    const head = initHead(vit, init);
    const task = probeTask(
      { ...recipe, model: vit.config },
      images,
      probeInputs(features, vit),
      head,
    );
    const { pretrained, loading, evaluation: _, ...training } = options;
    const { trained, ...result } = await trainModel(
      { ...task, ...evaluation, finish, given: encoder },
      data,
      { ...training, executor },
    );
    const ready = trainedClassifier(vit, result.params, { executor });
    return { ...result, head: trained, vit, report: loaded.report, ...ready };
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

type Features = PreparedFunction<
  { images: TensorSpec; noise: TensorSpec },
  { features: tf.Tensor }
>;

/** `images + sigma noise -> features`, with the encoder kept on the backend. */
async function featureFunction(
  vit: ViT,
  encoder: HostTensors,
  batchSize: number,
  { sigma }: LinearProbeRecipe,
  executor: Executor,
): Promise<Features> {
  const constants = Object.fromEntries(
    Object.entries(encoder).filter(([name]) => !name.startsWith("head.")),
  );
  const { inputSize, channels } = vit.config;
  const shape = [batchSize, inputSize, inputSize, channels];
  return executor.prepareFunction({
    fn: ({ images, noise, ...params }) => ({
      features: vit.features(params, tf.add(images!, tf.mul(noise!, sigma))),
    }),
    specs: { images: { shape }, noise: { shape } },
    constants,
  });
}

/** Features of the noisy images, and one-hot targets. */
const probeInputs =
  (features: Features, { config }: ViT): Objective["inputs"] =>
  async (batch, { key, epoch }) => {
    const noise = batchNoise(batch, noiseKeys(key, 1)(epoch));
    return {
      ...(await features({ images: batch.images, noise })),
      targets: softTargets(batch.labels, config.numClasses, 0),
    };
  };
