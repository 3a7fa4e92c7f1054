import { type HostTensor, type HostTensors, key, uniform } from "@dmae/core";
import { softmaxCrossEntropy } from "@dmae/nn";
import { adamw, createTrainStep, type TrainStep } from "@dmae/train";
import type { ViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";

/** Uniform numbers in [0, 1). */
export const floats = (seed: number, shape: readonly number[]): HostTensor => ({
  dtype: "float32",
  shape,
  data: uniform(
    key(seed),
    shape.reduce((n, d) => n * d, 1),
  ) as Float32Array,
});

/** What the training rows of the benchmarks run: cross entropy and AdamW, on one batch of random images. */
export function classifierStep(
  vit: ViT,
  batchSize: number,
): { train: TrainStep; state: HostTensors; batch: HostTensors } {
  const { inputSize, channels, numClasses } = vit.config;
  const train = createTrainStep({
    loss: (params, { x, y }) => ({
      loss: tf.mean(softmaxCrossEntropy(vit.logits(params, x!), y!)),
    }),
    optimizer: adamw(),
    schedule: () => 1e-4,
    stepsPerEpoch: 100,
  });
  const y = floats(5, [batchSize, numClasses]);
  y.data.fill(0);
  for (let i = 0; i < batchSize; i++) y.data[i * numClasses + (i % numClasses)] = 1;
  const x = floats(6, [batchSize, inputSize, inputSize, channels]);
  return { train, state: train.initState(vit.initHost(key(0))), batch: { x, y } };
}
