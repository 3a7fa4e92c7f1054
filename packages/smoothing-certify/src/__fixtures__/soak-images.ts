import { type ImageDataset, key } from "@dmae/core";
import { generator } from "@dmae/core/random";

/** Images that the wrappers of the soak test classify. */
export const soakImages: ImageDataset = {
  name: "soak",
  length: 8,
  imageShape: [4, 4, 3],
  numClasses: 3,
  get: (i) => ({ image: Float32Array.from({ length: 48 }, generator(key(i))), label: i % 3 }),
};

/** How they are certified. */
export const soakOptions = { seed: 0, sigma: 0.5, n0: 20, n: 100 };
