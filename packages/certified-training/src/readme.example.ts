import { smoothAdv } from "@dmae/certified-training";
import { key, normal, uniform } from "@dmae/core";
import { selectBackend, valueAndGradients } from "@dmae/nn";
import { linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";

await selectBackend("auto");

// A model is a function of parameters and images: here two classes of 4 x 4 images.
const apply = ({ weight }: Record<string, tf.Tensor>, images: tf.Tensor) => ({
  logits: linear(tf.reshape(images, [-1, 16]), weight!),
});
const images = tf.tensor4d(uniform(key("images"), 2 * 16), [2, 4, 4, 1]);
const targets = tf.tensor2d([
  [1, 0],
  [0, 1],
]);

// Every draw is an input: standard normals for 4 copies of the 2 images.
const method = smoothAdv({ copies: 4, epsilon: 0.5, steps: 10, warmupEpochs: 1 });
const noise = tf.tensor4d(normal(key("noise"), 4 * 2 * 16), [8, 4, 4, 1]);

const weight = tf.tensor2d(uniform(key("weight"), 2 * 16, { low: -1 }), [2, 16]);
const { loss, aux, gradients } = valueAndGradients(
  (params) => {
    const result = method.loss(apply, params, { images, targets }, { noise, sigma: 0.25 });
    return { loss: result.loss, aux: result.metrics };
  },
  { weight },
);
console.log(loss.dataSync()[0], aux.accuracy!.dataSync()[0], gradients.weight!.shape);
