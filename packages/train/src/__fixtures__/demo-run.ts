import { foldIn, type HostTensor, type HostTensors, key, normal, uniform } from "@dmae/core";
import { eagerExecutor, type Tensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { adamw, cosineSchedule, createTrainStep, type FitOptions, fit } from "../index.ts";

const root = key("fit.test");

const tensor = (data: Float32Array, shape: number[]): HostTensor => ({
  dtype: "float32",
  shape,
  data,
});

/** Initial parameters of the demo: two layers. */
export const demoParams = (): HostTensors => ({
  first: tensor(normal(foldIn(root, "first"), 6 * 3), [3, 6]),
  second: tensor(normal(foldIn(root, "second"), 6), [6, 1]),
});

/** Batch `step` of the demo: 8 points of a smooth function, with noise. */
export function demoBatch(step: number): HostTensors {
  const x = uniform(foldIn(root, "x"), new Float32Array(24), { index: step, low: -1 });
  const noise = normal(foldIn(root, "noise"), 8, { index: step, standardDeviation: 0.1 });
  const y = noise.map((e, i) => e + Math.sin(2 * x[3 * i]!) - x[3 * i + 1]! * x[3 * i + 2]!);
  return { x: tensor(x, [8, 3]), y: tensor(y, [8, 1]) };
}

const loss = (params: Tensors, batch: Tensors) => {
  const hidden = tf.tanh(tf.matMul(batch.x as tf.Tensor2D, params.first as tf.Tensor2D));
  const predicted = tf.matMul(hidden as tf.Tensor2D, params.second as tf.Tensor2D);
  return { loss: tf.mean(tf.squaredDifference(predicted, batch.y!)) };
};

/** The training step of the demo: AdamW over two micro-batches, warm-up, moving average. */
export const demoStep = () =>
  createTrainStep({
    loss,
    optimizer: adamw({ beta2: 0.95 }),
    schedule: cosineSchedule({ learningRate: 0.05, warmupEpochs: 1, epochs: 6 }),
    stepsPerEpoch: 10,
    accumulate: 2,
    emaDecay: 0.9,
  });

/** Runs the demo; the same `steps` give the same bits, interrupted or not. */
export function demoRun(options: Partial<FitOptions> & { steps: number }) {
  const train = demoStep();
  return fit({
    executor: eagerExecutor(),
    step: train.step,
    state: () => train.initState(demoParams()),
    batch: async (step) => ({ ...demoBatch(step), ...train.inputs(step) }),
    stepsPerEpoch: 10,
    checkpointEvery: 3,
    recipe: { demo: 1 },
    ...options,
  });
}
