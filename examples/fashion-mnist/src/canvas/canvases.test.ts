import "@tensorflow/tfjs-backend-cpu";
import { type ImageDataset, key, uniform } from "@dmae/core";
import { disposeTensors, selectBackend, toTensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { background, canvases, side } from "./canvases.ts";
import { applyDense, initDense } from "./dense-vit.ts";

/** Items that are bright in the left half; the class is the index. */
const items: ImageDataset = {
  name: "halves",
  length: 10,
  imageShape: [28, 28, 1],
  numClasses: 10,
  get: (i) => ({
    image: Float32Array.from({ length: 784 }, (_, p) => (p % 28 < 14 ? 0.5 : 0.05)),
    label: i,
  }),
};

test("a canvas is the same each time, and its map and labels say what is on it", async () => {
  const data = canvases(items, 40, "a");
  let filled = 0;
  for (let index = 0; index < data.length; index++) {
    const { image, segments, present } = await data.canvas(index);
    expect((await data.get(index)).image).toEqual(image);
    const seen = new Set<number>();
    for (let quarter = 0; quarter < 4; quarter++) {
      const corner = 28 * (quarter >> 1) * side + 28 * (quarter & 1);
      const label = segments[corner]!;
      const isThere = label !== background;
      if (isThere) {
        filled++;
        seen.add(label);
      }
      expect(image[corner]).toBe(isThere ? 0.5 : 0);
      expect(segments[corner + 14]).toBe(background); // 0.05 is below the threshold
      expect(image[corner + 14]).toBeCloseTo(isThere ? 0.05 : 0, 6);
    }
    expect([...present.keys()].filter((c) => present[c] === 1)).toEqual([...seen].sort());
  }
  expect(filled / 160).toBeGreaterThan(0.65);
  expect(filled / 160).toBeLessThan(0.85);
  const other = await canvases(items, 40, "b").canvas(0);
  expect(other.segments).not.toEqual((await data.canvas(0)).segments);
});

test("the dense ViT puts the classes of a patch back where the patch lies", async () => {
  await selectBackend("cpu");
  const host = initDense(key(0));
  const params = toTensors(host);
  const data = uniform(key("canvas"), new Float32Array(side * side));
  const { segments, present } = tf.tidy(() => {
    const found = applyDense(params, tf.tensor4d(data, [1, side, side, 1]));
    return { segments: found.segments.arraySync() as number[][][][], present: found.present.shape };
  });
  expect(present).toEqual([1, background]);
  expect([segments[0]!.length, segments[0]![0]!.length, segments[0]![0]![0]!.length]).toEqual([
    side,
    side,
    background + 1,
  ]);
  // only the bias of pixel (row 2, column 3), class 4 of each patch
  const bias = new Float32Array(host["segments.bias"]!.data.length);
  bias[(2 * 7 + 3) * 11 + 4] = 1000;
  params["segments.bias"]!.dispose();
  params["segments.bias"] = tf.tensor1d(bias);
  const marked = tf.tidy(() =>
    applyDense(params, tf.tensor4d(data, [1, side, side, 1])).segments.arraySync(),
  ) as number[][][][];
  for (const [y, row] of marked[0]!.entries())
    for (const [x, scores] of row.entries())
      expect(scores[4]! > 500).toBe(y % 7 === 2 && x % 7 === 3);
  disposeTensors(params);
});
