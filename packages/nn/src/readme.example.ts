import { key } from "@dmae/core";
import {
  eagerExecutor,
  gelu,
  linear,
  selectBackend,
  softmaxCrossEntropy,
  valueAndGradients,
  xavierUniform,
  zeros,
} from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";

await selectBackend("auto"); // the fastest of tensorflow (native), webgpu, wasm and cpu that works here

// A pure step: parameters in, parameters out; rates, noise and masks would be inputs like x and y.
const prepared = await eagerExecutor().prepareStep(
  (params, { x, y }) => {
    const { loss, gradients } = valueAndGradients(
      ({ weight, bias }) => ({
        loss: tf.mean(softmaxCrossEntropy(gelu(linear(x!, weight!, bias!)), y!)),
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
    batch: { x: { shape: [2, 3] }, y: { shape: [2, 2] } },
  },
);

const x = { dtype: "float32", shape: [2, 3], data: new Float32Array([1, 0, 2, 0, 3, 1]) } as const;
const y = { dtype: "float32", shape: [2, 2], data: new Float32Array([1, 0, 0, 1]) } as const;
for (let i = 0; i < 20; i++) console.log((await prepared.run({ x, y })).loss); // falls
prepared.dispose();
