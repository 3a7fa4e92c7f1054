import { compiledExecutor } from "@dmae/compile";
import { foldIn, type HostTensors, key } from "@dmae/core";
import { softmaxCrossEntropy } from "@dmae/nn";
import { progressLine } from "@dmae/reproduce/progress";
import { adamw, type Objective } from "@dmae/train";
import { batchNoise, decayGroups, noiseKeys, trainModel } from "@dmae/train/tasks";
import * as tf from "@tensorflow/tfjs-core";
import { runFolder } from "../train-row.ts";
import { background, type Canvases, side } from "./canvases.ts";
import { applyDense, initDense } from "./dense-vit.ts";

/** Noise of training and certification. */
export const sigma = 0.25;

const recipe = {
  name: "canvas-dense",
  source: "cross entropy of pixels and labels under noise",
  epochs: 6,
  warmupEpochs: 0.5,
  batchSize: 32,
  accumulate: 1,
  baseLearningRate: 4e-3,
  minLearningRate: 0,
  augmentation: null,
};

/** Cross entropy of every pixel's class, and of every label, under noise. */
function objective(train: Canvases): Objective {
  return {
    loss: (params, { images, noise, segments, present }) =>
      tf.tidy(() => {
        const answer = applyDense(params, tf.add(images!, tf.mul(noise!, sigma)));
        const rows = images!.shape[0]! * side * side;
        const scores = tf.reshape(answer.segments, [rows, background + 1]);
        const classes = tf.oneHot(tf.reshape(segments!, [rows]), background + 1);
        const pixels = tf.mean(softmaxCrossEntropy(scores, tf.cast(classes, "float32")));
        const labels = tf.mean(binaryCrossEntropy(answer.present, present!));
        return { loss: tf.add(pixels, labels), metrics: { pixels, labels } };
      }),
    inputs: async (batch, { key, epoch }) => {
      const found = await Promise.all(Array.from(batch.indices, (index) => train.canvas(index)));
      const rows = batch.size;
      const segments = new Int32Array(rows * side * side);
      const present = new Float32Array(rows * background);
      found.forEach((canvas, row) => {
        segments.set(canvas.segments, row * side * side);
        present.set(canvas.present, row * background);
      });
      const shape = [rows, side, side, 1];
      const noise = batchNoise(batch, noiseKeys(key, 1)(epoch));
      return {
        images: { dtype: "float32", shape, data: batch.images },
        noise: { dtype: "float32", shape, data: noise },
        segments: { dtype: "int32", shape: [rows, side, side], data: segments },
        present: { dtype: "float32", shape: [rows, background], data: present },
      };
    },
  };
}

/** `max(x, 0) - x y + log(1 + exp(-|x|))`: of a score x and a label y in {0, 1}, without overflow. */
const binaryCrossEntropy = (x: tf.Tensor, y: tf.Tensor): tf.Tensor =>
  tf.add(tf.sub(tf.relu(x), tf.mul(x, y)), tf.log(tf.add(tf.exp(tf.neg(tf.abs(x))), 1)));

/** Trains the dense ViT; a finished run is only read. */
export async function trainDense(
  train: Canvases,
  { seed, signal }: { seed: number; signal: AbortSignal },
): Promise<HostTensors> {
  const root = foldIn(key(seed), "canvas");
  const params = initDense(root);
  const line = progressLine("canvases", "steps");
  const groups = decayGroups(params, { weightDecay: 0.05, frozen: ["pos_embed"] });
  const { params: trained } = await trainModel(
    {
      ...{ caller: "trainDense", task: "canvases", recipe, params },
      images: { imageShape: train.imageShape, numClasses: train.numClasses },
      objective: objective(train),
      trainable: Object.keys(groups),
      optimizer: adamw({ groups, beta1: 0.9, beta2: 0.95 }),
    },
    train,
    {
      ...{ seed: root, signal, executor: compiledExecutor(), folder: runFolder(recipe.name, seed) },
      ...{ checkpointEveryEpochs: 0.5, logEvery: 20 },
      onProgress: ({ step, steps, metrics }) =>
        line.update(step, steps, `loss ${metrics.loss?.toFixed(4)}`),
    },
  );
  return trained;
}
