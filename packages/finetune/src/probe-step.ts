import type { HostTensor, HostTensors } from "@dmae/core";
import { softmaxCrossEntropy, type Tensors } from "@dmae/nn";
import { linear } from "@dmae/nn/layers";
import type { LossFunction, ModelImages, Objective, TrainingTask } from "@dmae/train";
import { lars } from "@dmae/train/tasks";
import * as tf from "@tensorflow/tfjs-core";
import { type LinearProbeRecipe, normGroup } from "./probe-recipe.ts";

const epsilon = 1e-6;
const momentum = 0.1; // weight of a new batch in the running statistics, PyTorch's default

/**
 * Batch normalisation without gain and bias, with the statistics of groups of the batch, and the running statistics
 * after it (`momentum` 0.1, the running variance unbiased), as `torch.nn.BatchNorm1d(affine=False)` in training on
 * several cards, each of which normalises its own images. The running statistics take the mean over the groups.
 *
 * @param x `[B, D]`
 * @param group images in a group, which divides B and is 2 or more; default B
 */
export function batchNorm(
  x: tf.Tensor,
  running: { readonly mean: tf.Tensor; readonly variance: tf.Tensor },
  group = x.shape[0]!,
): { normalized: tf.Tensor; mean: tf.Tensor; variance: tf.Tensor } {
  const [rows, width] = x.shape as [number, number];
  const groups = tf.reshape(x, [rows / group, group, width]);
  const mean = tf.mean(groups, 1, true); // [G, 1, D]
  const centred = tf.sub(groups, mean);
  const variance = tf.mean(tf.square(centred), 1, true);
  const blend = (old: tf.Tensor, now: tf.Tensor, factor: number) =>
    tf.add(tf.mul(old, 1 - momentum), tf.mul(tf.mean(now, [0, 1]), momentum * factor));
  const normalized = tf.div(centred, tf.sqrt(tf.add(variance, epsilon)));
  return {
    normalized: tf.reshape(normalized, [rows, width]),
    mean: blend(running.mean, mean, 1),
    variance: blend(running.variance, variance, group / (group - 1)),
  };
}

/**
 * Loss of a linear probe on the batch `features` `[B, D]`, `targets` `[B, K]`.
 *
 * @param group images over which batch normalisation goes; default all
 */
export const probeLoss =
  (group?: number): LossFunction =>
  (params: Tensors, batch: Tensors) => {
    const running = {
      mean: params["head.0.running_mean"]!,
      variance: params["head.0.running_var"]!,
    };
    const { normalized, mean, variance } = batchNorm(batch.features!, running, group);
    const logits = linear(normalized, params["head.1.weight"]!, params["head.1.bias"]!);
    return {
      loss: tf.mean(softmaxCrossEntropy(logits, batch.targets!)),
      updates: { "head.0.running_mean": mean, "head.0.running_var": variance },
    };
  };

/**
 * Linear probing as a task for `trainModel` or `taskStep` of `@dmae/train/tasks`: LARS on weight and bias of the head.
 *
 * @param inputs gives the batch of `probeLoss`: `features` and `targets`
 * @param head initial head, see `initHead`
 */
export function probeTask(
  recipe: LinearProbeRecipe,
  images: ModelImages,
  inputs: Objective["inputs"],
  head: HostTensors,
): TrainingTask {
  const { momentum, trustCoefficient, weightDecay } = recipe;
  const groups = normGroup(recipe);
  return {
    caller: "linearProbe",
    task: "linear-probe",
    recipe,
    images,
    objective: {
      loss: probeLoss(groups),
      inputs,
      groups,
    },
    params: head,
    trainable: ["head.1.weight", "head.1.bias"],
    optimizer: lars({ momentum, trustCoefficient, weightDecay }),
  };
}

/**
 * The head of a probe as a plain linear head: running statistics folded into weight and bias in float64,
 * `w / sqrt(var + eps)` and `b - w mean / sqrt(var + eps)`.
 *
 * @param head `head.0.running_mean`, `head.0.running_var`, `head.1.weight`, `head.1.bias`
 * @returns `head.weight` `[K, D]` and `head.bias` `[K]`
 */
export function foldProbe(head: HostTensors): Record<"head.weight" | "head.bias", HostTensor> {
  const [weight, bias] = [head["head.1.weight"]!, head["head.1.bias"]!];
  const [mean, variance] = [head["head.0.running_mean"]!.data, head["head.0.running_var"]!.data];
  const [classes, width] = weight.shape as [number, number];
  const folded = new Float32Array(classes * width);
  const shift = Float64Array.from(bias.data);
  for (let row = 0; row < classes; row++)
    for (let i = 0; i < width; i++) {
      const value = weight.data[row * width + i]! / Math.sqrt(variance[i]! + epsilon);
      folded[row * width + i] = value;
      shift[row]! -= value * mean[i]!;
    }
  return {
    "head.weight": { dtype: "float32", shape: weight.shape, data: folded },
    "head.bias": { dtype: "float32", shape: bias.shape, data: Float32Array.from(shift) },
  };
}
