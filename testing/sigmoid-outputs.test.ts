import { exportOnnx } from "@dmae/compile";
import { certify, fromOnnx } from "@dmae/smoothing-certify";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";

/** A linear classifier of four pixels whose last operation is a sigmoid. */
const model = (columns: number) =>
  exportOnnx(
    {
      fn: ({ images, weight }) => ({
        answers: tf.sigmoid(
          tf.matMul(tf.reshape(images, [-1, 4]) as tf.Tensor2D, weight as tf.Tensor2D),
        ),
      }),
      specs: { images: [8, 2, 2, 1] },
      constants: {
        weight: {
          ...{ dtype: "float32" as const, shape: [4, columns] },
          data: Float32Array.from({ length: 4 * columns }, (_, i) => Math.sin(7 * i)),
        },
      },
    },
    { dynamicBatch: true },
  );

it.each([
  [1, 2],
  [2, 2],
  [10, 10],
])("a model that ends in a sigmoid of %d columns has %d classes", async (columns, classes) => {
  const classifier = await fromOnnx(model(columns), { layout: "NHWC" });
  expect(classifier.numClasses).toBe(classes);
  const image = { data: Float32Array.of(0.9, 0.1, 0.4, 0.6), shape: [2, 2, 1] };
  const { counts } = await certify(classifier, image, { sigma: 0.25, n0: 10, n: 50, seed: 0 });
  expect(counts).toHaveLength(classes);
  await classifier.dispose();
});
