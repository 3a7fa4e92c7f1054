import { key } from "@dmae/core";
import { eagerExecutor, selectBackend, softmaxCrossEntropy, valueAndGradients } from "@dmae/nn";
import { gelu, linear, xavierUniform, zeros } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";

await selectBackend("auto"); // the fastest of tensorflow (native), webgpu, wasm and cpu that works here

// A pure step: parameters in, parameters out; rates, noise and masks would be inputs like x and y.
const step = await eagerExecutor().prepareStep(
  (params, { x, y }) => {
    const { loss, gradients } = valueAndGradients(
      ({ weight, bias }) => ({
        loss: tf.mean(softmaxCrossEntropy(gelu(linear(x, weight!, bias!)), y)),
      }),
      params,
    );
    const state = Object.fromEntries(
      Object.entries(params).map(([name, p]) => [name, tf.sub(p, tf.mul(gradients[name]!, 0.5))]),
    );
    return { state, metrics: { loss } };
  },
  {
    state: { weight: xavierUniform(key(0), [2, 3]), bias: zeros([2]) },
    batch: { x: [2, 3], y: [2, 2] },
  },
);

const x = [1, 0, 2, 0, 3, 1];
const y = [1, 0, 0, 1];
for (let i = 0; i < 20; i++) console.log((await step({ x, y })).loss); // falls
step.dispose();
