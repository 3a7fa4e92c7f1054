import type { ImageDataset } from "@dmae/core";

/** Images of one pixel, `i / length`, of class 1 but for the first three. */
export function steps(length: number): ImageDataset {
  return {
    name: "steps",
    length,
    imageShape: [1, 1, 1],
    numClasses: 2,
    get: (i) => ({ image: Float32Array.of(i / length), label: i < 3 ? 0 : 1 }),
  };
}

/** Class 1 where the pixel is above 0. */
export function halves(batch: Float32Array, [rows = 0]: number[]): Int32Array {
  return Int32Array.from({ length: rows }, (_, i) => (batch[i]! > 0 ? 1 : 0));
}
