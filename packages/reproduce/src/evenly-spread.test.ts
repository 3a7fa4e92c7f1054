import { key } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { expect, test } from "vitest";
import { evenlySpread } from "./evenly-spread.ts";

const images = synthetic({ key: key(1), imageShape: [2, 2, 1], numClasses: 2, length: 10 });

test.each([
  [1, [0]],
  [2, [0, 5]],
  [3, [0, 3, 6]],
  [6, [0, 1, 3, 5, 6, 8]],
  [10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  [20, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
])("%s of ten images are as many, evenly spread", (count, indices) => {
  const chosen = evenlySpread(images, count);
  const pixels = Array.from({ length: chosen.length }, (_, i) => chosen.get(i));
  expect(pixels).toEqual(indices.map((index) => images.get(index)));
});
