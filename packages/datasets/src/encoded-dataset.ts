import { DmaeError, type ImageShape } from "@dmae/core";
import { defined, type OptionNames } from "@dmae/core/checks";
import { outputShape } from "./apply-operations.ts";
import {
  checkIndex,
  type DecodeLimits,
  type ImageLocation,
  limitNames,
  type PixelDataset,
} from "./dataset.ts";
import { decodeAt, defaultLimits } from "./decode.ts";
import {
  centerCrop,
  evaluationTransform,
  type ImageOperation,
  isRandom,
  resize,
} from "./operations.ts";
import { renderNamed } from "./render-named.ts";

/** A data set whose images are decoded when they are asked for. */
export interface EncodedDataset extends PixelDataset {
  readonly classNames: readonly string[];
  readonly transform: readonly ImageOperation[];
  readonly limits: DecodeLimits;
  locate(index: number): ImageLocation;
}

/** Options that data sets of encoded images share. */
export interface EncodedOptions extends Partial<DecodeLimits> {
  /** Name of the data set for logs. */
  readonly name?: string | undefined;
  /** Side of the images, in pixels: the shorter side is resized to it and the middle taken. Instead of `transform`. */
  readonly size?: number | undefined;
  /**
   * 3 (default) for red, green and blue; 1 for grey, as Pillow's `convert("L")`: the whole image is converted, then
   * transformed.
   */
  readonly channels?: 1 | 3 | undefined;
  /**
   * What `get` does with the decoded image, ending in one size for all; by default `evaluationTransform(224)`:
   * shorter side to 256, centre crop 224. Batches may be given another transform.
   */
  readonly transform?: readonly ImageOperation[] | undefined;
}

/** The names of {@link EncodedOptions}. */
export const encodedNames = {
  ...limitNames,
  name: "text",
  size: true,
  channels: true,
  transform: "list",
} satisfies OptionNames<EncodedOptions>;

/** A data set over located files. */
export function encodedDataset(
  caller: string,
  items: {
    readonly name: string;
    readonly length: number;
    readonly classNames: readonly string[];
    readonly locate: (index: number) => ImageLocation;
  },
  { size, channels = 3, transform: given, ...limits }: EncodedOptions,
): EncodedDataset {
  if (size !== undefined && given !== undefined)
    throw new DmaeError("argument", `${caller}: size and transform exclude each other; pass one`);
  if (channels !== 1 && channels !== 3)
    throw new DmaeError("argument", `${caller}: channels must be 1 or 3, got ${channels}`);
  const sized = size === undefined ? undefined : [resize(size), centerCrop(size)];
  const transform = given ?? sized ?? evaluationTransform();
  const random = transform.find(isRandom);
  if (random)
    throw new DmaeError(
      "argument",
      `${caller}: transform must be fixed, got ${random.op}; pass random operations to batches`,
    );
  const imageShape: ImageShape = outputShape(caller, transform, undefined, channels);
  const dataset: EncodedDataset = {
    name: items.name,
    length: items.length,
    classNames: items.classNames,
    numClasses: items.classNames.length,
    imageShape,
    transform,
    limits: { ...defaultLimits, ...defined(limits) },
    locate(index) {
      checkIndex(dataset, index);
      return items.locate(index);
    },
    async pixels(index) {
      return decodeAt(dataset.locate(index), dataset.limits, channels);
    },
    async get(index) {
      const location = dataset.locate(index);
      const pixels = await decodeAt(location, dataset.limits, channels);
      const image = new Float32Array(imageShape[0] * imageShape[1] * imageShape[2]);
      renderNamed(location.name, pixels, transform, undefined, image);
      return { image, label: pixels.label };
    },
  };
  return dataset;
}
