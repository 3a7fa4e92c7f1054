// Two classifiers that know nothing of @dmae, certified: a plain function and a TensorFlow.js model.
// Both are the nearest-mean classifier of Fashion-MNIST, so from the same seed (the same noise) their
// certificates agree. Run it: npm run build && pnpm --filter @dmae/example-certify-any-classifier start
import { fashionMnist } from "@dmae/datasets";
import { certify } from "@dmae/smoothing-certify";
import * as tf from "@tensorflow/tfjs-core";
import { nearestMeanModel, nearestMeans } from "./nearest-mean.ts";
import "@tensorflow/tfjs-backend-cpu";

const { train, test } = await fashionMnist();
const means = await nearestMeans(train);
const options = { sigma: 0.25, n0: 100, n: 1000, alpha: 0.001, numClasses: 10, seed: 1 };

// A plain function: n images come in one Float32Array, n class ids go out.
const plain = (images: Float32Array, [n]: readonly number[]) =>
  Int32Array.from({ length: n! }, (_, i) => means.nearest(images.subarray(784 * i, 784 * (i + 1))));

// A TensorFlow.js LayersModel: it is given tensors because it is one.
const model = nearestMeanModel(means);

for (const index of [0, 1, 2, 3, 4]) {
  const { image, label } = await test.get(index);
  const a = await certify(plain, image, { ...options, shape: [28, 28, 1] });
  const b = await certify(model, image, { ...options, shape: [28, 28, 1] });
  const show = ({ prediction, radius }: typeof a) =>
    prediction < 0 ? "abstains" : `class ${prediction}, radius ${radius.toFixed(4)}`;
  console.log(`image ${index} (class ${label}): function: ${show(a)} · model: ${show(b)}`);
}
console.log(`tensors left: ${tf.memory().numTensors - model.weights.length}`);
