import { DmaeError, type ImageShape, type LabeledImage } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkIndex, type PixelDataset } from "./dataset.ts";
import { type LabeledPixels, toLabeledImage } from "./pixels.ts";

/** What {@link arrayDataset} needs. */
export interface ArrayDatasetOptions {
  /** A short name for logs. */
  readonly name: string;
  /** `[N, H, W, C]` row-major bytes. */
  readonly images: Uint8Array;
  /** `[N]` class indices. */
  readonly labels: ArrayLike<number>;
  /** Height, width, channels of every image. */
  readonly imageShape: ImageShape;
  /** Number of classes. */
  readonly numClasses: number;
  /** Class names by label. */
  readonly classNames?: readonly string[] | undefined;
}

/** A data set whose images lie in memory; `get` does not wait. */
export interface ArrayDataset extends PixelDataset {
  get(index: number): LabeledImage;
  pixels(index: number): LabeledPixels;
}

/**
 * A data set from bytes in memory (which are kept, not copied).
 *
 * @throws DmaeError "shape" where lengths do not fit, "argument" for images that are no bytes, a `numClasses`
 *   below 1, or a label outside `[0, numClasses)`
 *
 * @example
 * ```ts
 * const dots = arrayDataset({
 *   name: "dots", images: new Uint8Array(2 * 4), labels: [0, 1], imageShape: [2, 2, 1], numClasses: 2,
 * });
 * ```
 */
export function arrayDataset(options: ArrayDatasetOptions): ArrayDataset {
  checkOptions("arrayDataset", options, {
    name: "text",
    images: true,
    labels: true,
    imageShape: true,
    numClasses: true,
    classNames: true,
  });
  const { name, images, labels, imageShape, numClasses, classNames } = options;
  checkArrays(options);
  const [height, width, channels] = imageShape;
  const size = height * width * channels;
  const dataset: ArrayDataset = {
    name,
    length: labels.length,
    imageShape,
    numClasses,
    ...(classNames && { classNames }),
    pixels(index) {
      checkIndex(dataset, index);
      const data = images.subarray(index * size, (index + 1) * size);
      return { data, height, width, channels, label: labels[index]! };
    },
    get: (index) => toLabeledImage(dataset.pixels(index)),
  };
  return dataset;
}

function checkArrays({ images, labels, imageShape, numClasses, classNames }: ArrayDatasetOptions) {
  const isShape = Array.isArray(imageShape) && imageShape.length === 3;
  if (!isShape || imageShape.some((side) => !Number.isInteger(side) || side < 1))
    throw new DmaeError(
      "shape",
      `arrayDataset: imageShape must hold three positive integers, got ${imageShape}`,
    );
  if (!(Number(labels?.length) >= 0))
    throw new DmaeError("argument", `arrayDataset: labels must be an array, got ${labels}`);
  const [height, width, channels] = imageShape;
  const expected = labels.length * height * width * channels;
  const kind = Object.prototype.toString.call(images).slice(8, -1); // also where another realm made them
  if (!/^Uint8(Clamped)?Array$/.test(kind))
    throw new DmaeError(
      "argument",
      `arrayDataset: images must be bytes in a Uint8Array, got ${kind}; of values in [0, 1] take Math.round(255 * value)`,
    );
  if (!Number.isInteger(numClasses) || numClasses < 1)
    throw new DmaeError(
      "argument",
      `arrayDataset: numClasses must be a positive integer, got ${numClasses}`,
    );
  if (images.length !== expected)
    throw new DmaeError(
      "shape",
      `arrayDataset: ${labels.length} images of ${imageShape.join("x")} need ${expected} bytes, got ${images.length}`,
      { expected, received: images.length },
    );
  if (classNames && classNames.length !== numClasses)
    throw new DmaeError(
      "argument",
      `arrayDataset: classNames must name ${numClasses} classes, got ${classNames.length}`,
    );
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (!Number.isInteger(label) || label < 0 || label >= numClasses)
      throw new DmaeError(
        "argument",
        `arrayDataset: labels must be integers in [0, ${numClasses}), got ${label} at index ${i}`,
        { index: i, received: label },
      );
  }
}
