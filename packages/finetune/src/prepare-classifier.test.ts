import { key } from "@dmae/core";
import { disposeTensors, selectBackend, toTensors } from "@dmae/nn";
import { certify } from "@dmae/smoothing-certify";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "@tensorflow/tfjs-backend-cpu";
import { expectClose } from "../../../testing/expect-close.ts";
import { evaluate, prepareClassifier } from "./index.ts";
import { prepareEvaluation } from "./tasks.ts";

const shape = { imageSize: 8, patchSize: 4, channels: 1, mean: [0.5], std: [0.5], numClasses: 3 };

it("is the model's logits, any number of rows at a time, and what certify takes", async () => {
  await selectBackend("cpu");
  const vit = createViT({ width: 16, depth: 1, heads: 2, ...shape });
  const params = vit.initHost(key(1));
  params["head.bias"]!.data.set([0.1, 0.3, 0.2]); // else no class would win
  const classifier = prepareClassifier(vit, params, { batchSize: 4 });
  const images = Float32Array.from({ length: 4 * 64 }, (_, i) => (i % 7) / 7);
  const { data } = await classifier.predict(images);
  const tensors = toTensors(params);
  const x = tf.tensor(images, [4, 8, 8, 1]);
  const logits = vit.logits(tensors, x);
  expectClose([...data], [...logits.dataSync()], { absolute: 1e-5 });
  tf.dispose([x, logits]);
  disposeTensors(tensors);
  const options = { sigma: 0.25, shape: [8, 8, 1], n: 50, n0: 10 };
  const { prediction, counts } = await certify(classifier, images.slice(0, 64), options);
  expect(prediction).toBe(1);
  expect(counts).toHaveLength(3);
  await classifier.dispose();
});

it("tells other parameters from these, and refuses bad options", () => {
  const vit = createViT({ width: 16, depth: 1, heads: 2, ...shape });
  const of = (seed: number) => prepareClassifier(vit, vit.initHost(key(seed)));
  expect(of(1).fingerprint).toBe(of(1).fingerprint);
  expect(of(1).fingerprint).not.toBe(of(2).fingerprint);
  expect(() => prepareClassifier(vit, {}, { batchSize: 0 })).toThrow("positive integer");
});

it("is measured without saying what runs it", async () => {
  const vit = createViT({ width: 16, depth: 1, heads: 2, ...shape });
  const params = vit.initHost(key(1));
  params["head.bias"]!.data.set([0.1, 0.3, 0.2]);
  const image = Float32Array.from({ length: 64 }, (_, i) => (i % 7) / 7);
  const get = async (i: number) => ({ image, label: i });
  const data = { name: "labels", length: 3, imageShape: [8, 8, 1] as const, numClasses: 3, get };
  const found = await evaluate(vit, params, data);
  expect(found.accuracy).toBeCloseTo(1 / 3);
  const evaluation = await prepareEvaluation(vit, params);
  expect(await evaluation(data)).toEqual(found);
  evaluation.dispose();
});
