import type { ImageDataset } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { layers, sequential } from "@tensorflow/tfjs-layers";

/** The mean image of each class and the rule that goes with it. */
export interface NearestMeans {
  /** `[classes][pixels]`. */
  means: Float64Array[];
  /** The class whose mean is nearest to `image` (l2). */
  nearest(image: Float32Array): number;
}

/** Averages the first `count` training images by class: a classifier trained in one pass. */
export async function nearestMeans(dataset: ImageDataset, count = 10_000): Promise<NearestMeans> {
  const pixels = dataset.imageShape.reduce((a, b) => a * b);
  const means = Array.from({ length: dataset.numClasses }, () => new Float64Array(pixels));
  const seen = new Float64Array(dataset.numClasses);
  for (let i = 0; i < count; i++) {
    const { image, label } = await dataset.get(i);
    seen[label]! += 1;
    image.forEach((value, p) => {
      means[label]![p]! += value;
    });
  }
  means.forEach((mean, label) => {
    mean.forEach((sum, p) => {
      mean[p] = sum / seen[label]!;
    });
  });
  return { means, nearest: (image) => argMax(means.map((mean) => score(mean, image))) };
}

/** x is nearest to the mean m with the largest <m, x> - |m|^2 / 2. */
function score(mean: Float64Array, image: Float32Array): number {
  let inner = 0;
  for (let p = 0; p < mean.length; p++) inner += mean[p]! * (image[p]! - mean[p]! / 2);
  return inner;
}

const argMax = (values: number[]) => values.indexOf(Math.max(...values));

/** The same rule as a TensorFlow.js LayersModel: one dense layer, logits <m, x> - |m|^2 / 2. */
export function nearestMeanModel({ means }: NearestMeans) {
  const pixels = means[0]!.length;
  const side = Math.sqrt(pixels);
  const model = sequential({
    layers: [
      layers.flatten({ inputShape: [side, side, 1] }),
      layers.dense({ units: means.length, kernelInitializer: "zeros" }),
    ],
  });
  const kernel = tf.tidy(() =>
    tf.transpose(tf.tensor2d(Float32Array.from(means.flatMap((m) => [...m])), [10, pixels])),
  );
  const bias = tf.tensor1d(means.map((mean) => -mean.reduce((sum, m) => sum + m * m, 0) / 2));
  model.setWeights([kernel, bias]);
  tf.dispose([kernel, bias]);
  return model;
}
