import { foldIn, key, normal, uniform } from "@dmae/core";
import { eagerExecutor, selectBackend, type Tensors } from "@dmae/nn";
import { linear, zeros } from "@dmae/nn/layers";
import { adamw, cosineSchedule, createTrainStep, fit } from "@dmae/train";
import { unprefixed } from "@dmae/train/tasks";
import * as tf from "@tensorflow/tfjs-core";

await selectBackend("auto");

// A pure loss: parameters and one batch in, a scalar out.
const loss = (params: Tensors, batch: Tensors) => ({
  loss: tf.mean(tf.squaredDifference(linear(batch.x!, params.weight!, params.bias!), batch.y!)),
});

const train = createTrainStep({
  loss,
  optimizer: adamw({ weightDecay: 0 }),
  schedule: cosineSchedule({ learningRate: 0.1, warmupEpochs: 1, epochs: 10 }),
  stepsPerEpoch: 20,
  accumulate: 2, // two micro-batches an update
});

// Batches by number: step 57 is the same whenever it is asked for, so a resumed run repeats exactly.
const batch = (step: number) => {
  const x = normal(foldIn(key(0), "x"), 16 * 2, { index: step });
  const noise = uniform(foldIn(key(0), "noise"), 16, { index: step, low: -0.1, high: 0.1 });
  const y = noise.map((e, i) => 3 * x[2 * i]! - 2 * x[2 * i + 1]! + 1 + e);
  return {
    x: { dtype: "float32", shape: [16, 2], data: x },
    y: { dtype: "float32", shape: [16, 1], data: y },
    ...train.inputs(step), // learning rate and bias corrections of this step
  } as const;
};

const { state } = await fit({
  executor: eagerExecutor(), // or compiledExecutor() of @dmae/compile
  step: train.step,
  state: train.initState({ weight: zeros([1, 2]), bias: zeros([1]) }),
  steps: 200,
  stepsPerEpoch: 20,
  batch,
  // folder: "runs/a" keeps a log and checkpoints there, and resumes what it finds
});

const { weight, bias } = unprefixed("params.", state);
console.log(...weight!.data, ...bias!.data); // close to 3 -2 1
