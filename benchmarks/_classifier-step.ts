import { type HostTensor, type HostTensors, key, uniform } from "@dmae/core";
import { type Model, softmaxCrossEntropy } from "@dmae/nn";
import { adamw, createTrainStep, type TrainStep } from "@dmae/train";
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
  model: Model,
  batchSize: number,
): { train: TrainStep; state: HostTensors; batch: HostTensors } {
  const { buffers, imageShape, numClasses } = model;
  const initial = model.initHost(key(0));
  const train = createTrainStep({
    loss: (params, { x, y }) => {
      const { logits, updates = {} } = model.apply(params, x!, { training: true });
      return { loss: tf.mean(softmaxCrossEntropy(logits, y!)), updates };
    },
    trainable: Object.keys(initial).filter((name) => !buffers.includes(name)),
    optimizer: adamw(),
    schedule: () => 1e-4,
    stepsPerEpoch: 100,
  });
  const y = floats(5, [batchSize, numClasses]);
  y.data.fill(0);
  for (let i = 0; i < batchSize; i++) y.data[i * numClasses + (i % numClasses)] = 1;
  const x = floats(6, [batchSize, ...imageShape]);
  return { train, state: train.initState(initial), batch: { x, y } };
}
