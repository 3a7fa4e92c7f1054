import { DmaeError, foldIn, type ImageShape, type Key } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { generator } from "@dmae/core/random";
import type { ArrayDataset } from "./array-dataset.ts";
import { checkIndex, type Split, splitNames } from "./dataset.ts";
import { type LabeledPixels, toLabeledImage } from "./pixels.ts";

/** Options of {@link synthetic}. */
export interface SyntheticOptions {
  /** Number of images. */
  readonly length: number;
  /** Seeds class patterns and images. */
  readonly key: Key;
  /** Height, width, channels; `[28, 28, 1]` by default. */
  readonly imageShape?: ImageShape | undefined;
  /** Number of classes; 10 by default. */
  readonly numClasses?: number | undefined;
  /** Train and test share the class patterns and no image; `train` by default. */
  readonly split?: Split | undefined;
}

/**
 * Images that a classifier can learn, out of nothing: each class is a plane wave of its own direction,
 * frequency and colour; an image is its class's wave with a phase, a contrast and pixel noise of its
 * own. For tests, smoke runs and examples; image `index` is computed when it is asked for.
 *
 * @example
 * ```ts
 * const train = synthetic({ length: 1000, key: key(0) });
 * const test = synthetic({ length: 200, key: key(0), split: "test" });
 * ```
 */
export function synthetic(options: SyntheticOptions): ArrayDataset {
  checkOptions("synthetic", options, {
    length: true,
    key: true,
    imageShape: true,
    numClasses: true,
    split: splitNames,
  });
  const { length, key, imageShape = [28, 28, 1], numClasses = 10, split = "train" } = options;
  check("length", length, 0);
  check("numClasses", numClasses, 1);
  if (!Array.isArray(imageShape) || imageShape.length !== 3)
    throw new DmaeError(
      "argument",
      `synthetic: imageShape must be [height, width, channels], got ${JSON.stringify(imageShape)}`,
    );
  for (const side of imageShape) check("imageShape", side, 1);
  const waves = Array.from({ length: numClasses }, (_, label) =>
    classWave(generator(foldIn(foldIn(key, "class"), label)), label, numClasses, imageShape),
  );
  const images = foldIn(key, split);
  const dataset: ArrayDataset = {
    name: `synthetic/${split}`,
    length,
    imageShape,
    numClasses,
    pixels(index) {
      checkIndex(dataset, index);
      const label = index % numClasses;
      return render(waves[label]!, label, imageShape, generator(foldIn(images, index)));
    },
    get: (index) => toLabeledImage(dataset.pixels(index)),
  };
  return dataset;
}

interface Wave {
  /** Radians per row and per column. */
  readonly frequency: readonly [number, number];
  /** Amplitude per channel, in levels. */
  readonly colour: readonly number[];
}

function classWave(
  draw: () => number,
  label: number,
  numClasses: number,
  [height, width, channels]: ImageShape,
): Wave {
  const angle = (Math.PI * (label + 0.5 * draw())) / numClasses;
  const cycles = 1.5 + (label % 3) + 0.5 * draw();
  const turn = 2 * Math.PI * cycles;
  return {
    frequency: [(turn * Math.sin(angle)) / height, (turn * Math.cos(angle)) / width],
    colour: Array.from({ length: channels }, () => 60 + 40 * draw()),
  };
}

function render(wave: Wave, label: number, shape: ImageShape, draw: () => number): LabeledPixels {
  const [height, width, channels] = shape;
  const data = new Uint8Array(height * width * channels);
  const phase = 2 * Math.PI * draw();
  const contrast = 0.7 + 0.3 * draw();
  for (let row = 0, i = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const value = Math.sin(wave.frequency[0] * row + wave.frequency[1] * column + phase);
      for (let channel = 0; channel < channels; channel++)
        data[i++] = 128 + contrast * wave.colour[channel]! * value + 20 * (draw() - 0.5);
    }
  return { data, height, width, channels, label };
}

function check(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least && value <= 2 ** 31) return;
  throw new DmaeError(
    "argument",
    `synthetic: ${name} must be an integer of at least ${least}, at most 2^31, got ${value}`,
  );
}
