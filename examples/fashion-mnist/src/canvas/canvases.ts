import { foldIn, type ImageDataset, key } from "@dmae/core";
import { generator } from "@dmae/core/random";

/** Side of a canvas in pixels: two by two items of 28x28. */
export const side = 56;
/** Classes of a pixel: the ten items, and the background. */
export const background = 10;
/** Pixels of an item that are at least this bright belong to it; the others are background. */
const threshold = 0.1;
/** Probability that a quarter of the canvas holds an item. */
const share = 0.75;

/** A canvas and what is on it. */
export interface Canvas {
  /** `[56, 56, 1]` in [0, 1]. */
  readonly image: Float32Array;
  /** Class of each pixel, `[56, 56]`. */
  readonly segments: Uint8Array;
  /** 1 for each of the ten classes that is on the canvas. */
  readonly present: Uint8Array;
}

/** Canvases of several Fashion-MNIST items each, all drawn from a seed. */
export interface Canvases extends ImageDataset {
  /** The canvas of an index, the same each time. */
  canvas(index: number): Promise<Canvas>;
}

/**
 * A data set of `length` canvases; each quarter holds, with probability 3/4, an item of `items`, in a place of its own.
 *
 * @param seed names the canvases; those of training and test must differ
 */
export function canvases(items: ImageDataset, length: number, seed: string): Canvases {
  const root = key(seed);
  async function canvas(index: number): Promise<Canvas> {
    const random = generator(foldIn(root, index));
    const image = new Float32Array(side * side);
    const segments = new Uint8Array(side * side).fill(background);
    const present = new Uint8Array(background);
    for (let quarter = 0; quarter < 4; quarter++) {
      const [isThere, item] = [random() < share, Math.floor(random() * items.length)];
      if (!isThere) continue;
      const { image: pixels, label } = await items.get(item);
      const [top, left] = [28 * (quarter >> 1), 28 * (quarter & 1)];
      present[label] = 1;
      pixels.forEach((value, i) => {
        const place = (top + Math.floor(i / 28)) * side + left + (i % 28);
        image[place] = value;
        if (value >= threshold) segments[place] = label;
      });
    }
    return { image, segments, present };
  }
  return {
    name: `canvases of ${items.name}, ${seed}`,
    length,
    imageShape: [side, side, 1],
    numClasses: background,
    // The label that a data set must have; what is on a canvas is in `canvas`.
    get: async (index) => ({ image: (await canvas(index)).image, label: 0 }),
    canvas,
  };
}
