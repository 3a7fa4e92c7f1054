// An application as bundle.test.ts bundles it for a browser.
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { selectBackend, valueAndGradients } from "../index.ts";
import { gelu, linear } from "../layers.ts";

const backend = await selectBackend("cpu");
const x = tf.tensor2d([[1, 2]]);
const { loss, gradients } = valueAndGradients(
  ({ weight }) => ({ loss: tf.sum(gelu(linear(x, weight!))) }),
  { weight: tf.tensor2d([[0, 0]]) },
);
console.log(JSON.stringify([backend, [...gradients.weight!.dataSync()], loss.dataSync()[0]]));
