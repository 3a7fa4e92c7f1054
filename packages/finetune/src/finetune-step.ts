import { consistencyLoss } from "@dmae/consistency-loss";
import type { HostTensors } from "@dmae/core";
import { resizeBicubic, softmaxCrossEntropy, type Tensors } from "@dmae/nn";
import {
  adamw,
  type LossFunction,
  layerDecayGroups,
  type ParameterGroups,
  type TrainingTask,
} from "@dmae/train";
import { createViT, layerId, type ViTConfig } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";
import { finetuneInputs } from "./inputs.ts";
import { mixImages } from "./mixing.ts";
import type { FinetuneRecipe } from "./recipe.ts";

/** The recipe fields that determine the loss. */
export type FinetuneLossSettings = Pick<FinetuneRecipe, "sigma" | "copies" | "consistency">;

/**
 * The loss of robust fine-tuning as a pure function of parameters and the batch of `finetuneInputs`.
 *
 * Images are repeated `copies` times (whole batch after whole batch), noise is added, then the copies are resized,
 * mixed across the repeated batch, and classified: cross entropy with soft targets over all copies, and with
 * consistency `lambda KL + mu entropy` between the copies of an image. The order is that of the official code.
 */
export function finetuneLoss(config: ViTConfig, settings: FinetuneLossSettings): LossFunction {
  const { imageSize, inputSize } = config;
  const { copies, consistency } = settings;
  const vit = createViT({ ...config, inputSize: imageSize });
  return (params, batch) => {
    const noisy = tf.add(repeat(batch.images!, copies), scaledNoise(settings, batch));
    const resized = inputSize === imageSize ? noisy : resizeBicubic(noisy, imageSize, imageSize);
    const { mixRows, mixColumns, mixAmount, dropPath } = batch;
    const images =
      mixRows && mixColumns && mixAmount
        ? mixImages(resized, mixRows, mixColumns, mixAmount)
        : resized;
    const logits = vit.logits(params, images, dropPath ? { dropPath } : {});
    const crossEntropy = tf.mean(softmaxCrossEntropy(logits, batch.targets!));
    if (consistency === null) return { loss: crossEntropy };
    const [rows, classes] = logits.shape as [number, number];
    const regularizer = consistencyLoss(
      tf.reshape(logits, [copies, rows / copies, classes]),
      consistency,
    );
    return {
      loss: tf.add(crossEntropy, regularizer),
      metrics: { crossEntropy, consistency: regularizer },
    };
  };
}

function repeat(images: tf.Tensor, copies: number): tf.Tensor {
  return copies === 1 ? images : tf.concat(Array<tf.Tensor>(copies).fill(images), 0);
}

function scaledNoise({ sigma }: FinetuneLossSettings, batch: Tensors): tf.Tensor {
  if (typeof sigma === "number") return tf.mul(batch.noise!, sigma);
  return tf.mul(batch.noise!, tf.reshape(batch.sigma!, [-1, 1, 1, 1]));
}

/** Robust fine-tuning as a task for `trainModel` or `taskStep` of `@dmae/train`. */
export function finetuneTask(
  config: ViTConfig,
  recipe: FinetuneRecipe,
  params: HostTensors,
): TrainingTask {
  const { beta1, beta2, clipNorm, copies } = recipe;
  const { inputSize, channels, numClasses } = config;
  const groups = finetuneGroups(config, recipe, params);
  return {
    caller: "robustFinetune",
    task: "robust-finetune",
    recipe,
    images: { imageShape: [inputSize, inputSize, channels], numClasses },
    objective: {
      loss: finetuneLoss(config, recipe),
      inputs: (batch, position) => finetuneInputs(recipe, batch, { ...position, config }),
      copies,
    },
    params,
    trainable: Object.keys(groups),
    optimizer: adamw({ beta1, beta2, groups }),
    clipNorm,
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
