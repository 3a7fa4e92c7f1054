import type { HostTensor, HostTensors } from "@dmae/core";
import type { ApplyFunction, Model, Tensors } from "@dmae/nn";
import { resizeBicubic } from "@dmae/nn/layers";
import {
  adamw,
  type LossFunction,
  type Optimizer,
  type ParameterGroups,
  sgd,
  type TrainingTask,
} from "@dmae/train";
import { checksum, decayGroups, layerDecayGroups, unprefixed } from "@dmae/train/tasks";
import { createViT, type ViTConfig } from "@dmae/vit";
import { layerId } from "@dmae/vit/parts";
import type * as tf from "@tensorflow/tfjs-core";
import { dropPathInput, finetuneInputs, type InputShape } from "./inputs.ts";
import { mixImages } from "./mixing.ts";
import { type FinetuneRecipe, isViT, methodOf, mixes } from "./recipe.ts";
import { sgdSchedule } from "./sgd-schedule.ts";

/** The recipe fields that determine the loss. */
export type FinetuneLossSettings = Pick<FinetuneRecipe, "sigma" | "method">;

/**
 * The loss of robust fine-tuning as a pure function of parameters and the batch of `finetuneInputs`: that of the recipe's
 * method. What the method passes to the model (copies of the images under noise) is resized, mixed across the rows, and
 * classified. The order is that of the official code.
 *
 * @param model a ViT, or any other model
 */
export function finetuneLoss(model: Model, settings: FinetuneLossSettings): LossFunction {
  const method = methodOf(settings);
  const network = networkOf(model);
  return (params, batch) => {
    const { images, targets, noise, sigma = settings.sigma, uniform, softLabels } = batch;
    return method.loss(
      trainingApply(network, batch),
      params,
      {
        images: images!,
        targets: targets!,
        ...(softLabels ? { softLabels } : {}),
        schedule: unprefixed("schedule.", batch),
      },
      { noise: noise!, sigma: sigma as number | tf.Tensor, ...(uniform ? { uniform } : {}) },
    );
  };
}

/** A model in two parts: what resizes images, and what classifies the resized ones. */
interface Network {
  resize(images: tf.Tensor): tf.Tensor;
  readonly apply: ApplyFunction;
}

function networkOf(model: Model): Network {
  if (!isViT(model)) return { resize: (images) => images, apply: model.apply };
  const { imageSize, inputSize } = model.config;
  if (inputSize === imageSize) return { resize: (images) => images, apply: model.apply };
  const { apply } = createViT({ ...model.config, inputSize: imageSize });
  return { resize: (images) => resizeBicubic(images, imageSize, imageSize), apply };
}

/** A pass through the network with the batch's draws of mixing and drop path; attacks see neither. */
function trainingApply({ resize, apply }: Network, batch: Tensors): ApplyFunction {
  const { mixRows, mixColumns, mixAmount } = batch;
  let pass = 0;
  return (params, noisy, { training = false } = {}) => {
    const resized = resize(noisy);
    if (!training) return apply(params, resized);
    const images =
      mixRows && mixColumns && mixAmount
        ? mixImages(resized, mixRows, mixColumns, mixAmount)
        : resized;
    const dropPath = batch[dropPathInput(pass++)];
    return apply(params, images, { training, ...(dropPath ? { dropPath } : {}) });
  };
}

/**
 * Robust fine-tuning as a task for `trainModel` or `taskStep` of `@dmae/train/tasks`.
 *
 * @param model the classifier that the recipe describes
 * @param params its initial parameters and buffers
 * @param softLabels `[N, K]`, see `RobustFinetuneOptions`
 */
export function finetuneTask(
  model: Model,
  recipe: FinetuneRecipe<Model>,
  params: HostTensors,
  softLabels?: HostTensor,
): TrainingTask {
  const { clipNorm, emaDecay = null } = recipe;
  const method = methodOf(recipe);
  const groups = isViT(model)
    ? finetuneGroups(model.config, recipe, params)
    : decayGroups(params, { weightDecay: recipe.weightDecay, frozen: model.buffers });
  const { imageShape, numClasses } = model;
  return {
    caller: "robustFinetune",
    task: "robust-finetune",
    recipe: { ...recipe, ...recorded(model, recipe, softLabels) },
    images: { imageShape, numClasses },
    objective: {
      loss: finetuneLoss(model, recipe),
      inputs: (batch, position) =>
        finetuneInputs(recipe, batch, { ...position, model: inputShape(model), softLabels }),
      copies: method.copies,
      ...(mixes(recipe) ? { groups: "mirrored" } : {}),
    },
    params,
    trainable: Object.keys(groups),
    buffers: model.buffers,
    ...optimizerOf(recipe, groups),
    clipNorm,
    emaDecay,
  };
}

/** What `run.json` compares where the recipe holds functions, or the data come beside it. */
function recorded(model: Model, recipe: FinetuneRecipe<Model>, softLabels?: HostTensor) {
  return {
    method: methodOf(recipe).settings,
    model: model.config,
    ...(softLabels ? { softLabels: checksum({ softLabels }) } : {}),
  };
}

/** Sizes that the draws of a model depend on. */
export function inputShape(model: Model): InputShape {
  const { imageShape, numClasses } = model;
  if (!isViT(model)) return { imageSize: imageShape[0], numClasses, depth: 0 };
  const { imageSize, depth } = model.config;
  return { imageSize, numClasses, depth };
}

function optimizerOf(
  { sgd: settings, beta1, beta2 }: FinetuneRecipe<Model>,
  groups: ParameterGroups,
): { optimizer: Optimizer; schedule?: (epoch: number) => number } {
  if (!settings) return { optimizer: adamw({ beta1, beta2, groups }) };
  const { momentum, weightDecay } = settings;
  const names = Object.entries(groups);
  const scaled = names.map(([name, group]) => [name, { ...group, weightDecay }] as const);
  return {
    optimizer: sgd({ momentum, groups: Object.fromEntries(scaled) }),
    schedule: sgdSchedule(settings),
  };
}

/** Learning-rate scale and weight decay by parameter, as the official script forms its groups. */
export function finetuneGroups(
  config: ViTConfig,
  { weightDecay, layerDecay }: Pick<FinetuneRecipe, "weightDecay" | "layerDecay">,
  params: HostTensors,
): ParameterGroups {
  return layerDecayGroups(params, {
    weightDecay,
    layerDecay,
    depth: config.depth,
    layerId,
    noWeightDecay: ["cls_token", "pos_embed"],
  });
}
