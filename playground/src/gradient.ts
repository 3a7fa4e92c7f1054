// The gradient for the attack: the shipped parameters in TensorFlow.js, loaded when they are needed.
import "@tensorflow/tfjs-backend-wasm";
import type { PretrainedClassifier } from "@dmae/models";
import { selectBackend, toTensors, valueAndGradients } from "@dmae/nn";
import type { SmoothedGradient } from "@dmae/smoothing-certify";
import { createViT } from "@dmae/vit";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";

const known = new Map<string, Promise<SmoothedGradient>>();

/** The gradient of a shipped model, made once. */
export function gradientOf(shipped: PretrainedClassifier): Promise<SmoothedGradient> {
  const { name } = shipped.card;
  const gradient = known.get(name) ?? makeGradient(shipped);
  known.set(name, gradient);
  return gradient;
}

/** The gradient of `-ln mean_i softmax(f(x_i))_label` (SmoothAdv, Salman et al. 2019) at the noisy copies. */
async function makeGradient(shipped: PretrainedClassifier): Promise<SmoothedGradient> {
  setWasmPaths(new URL("../tfjs/", import.meta.url).href);
  await selectBackend("wasm");
  const vit = createViT(shipped.card.training.finetuning.model);
  const params = toTensors(await shipped.parameters());
  return (batch, shape, label) =>
    tf.tidy(() => {
      const x = tf.tensor(batch, shape);
      const loss = (input: tf.Tensor) => {
        const probabilities = tf.softmax(vit.logits(params, input as tf.Tensor4D));
        return tf.neg(tf.log(tf.mean(tf.slice(probabilities, [0, label], [-1, 1]))));
      };
      const { gradients } = valueAndGradients((at) => ({ loss: loss(at.x!) }), { x });
      return gradients.x!.dataSync();
    });
}
