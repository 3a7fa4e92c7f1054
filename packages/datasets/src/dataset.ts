import { DmaeError, type ImageDataset } from "@dmae/core";
import { datasetName, type OptionNames } from "@dmae/core/checks";
import type { ImageOperation } from "./operations.ts";
import type { LabeledPixels } from "./pixels.ts";

/** Which part of a data set to open. */
export type Split = "train" | "test";

/** The names of {@link Split}. */
export const splitNames = ["train", "test"] as const satisfies readonly Split[];

/** The two parts of a data set. */
export interface Splits<Dataset = PixelDataset> {
  /** Training images. */
  readonly train: Dataset;
  /** Test images. */
  readonly test: Dataset;
}

/** Limits for files that may be anything. */
export interface DecodeLimits {
  /** Largest encoded image in bytes; 64 MiB by default. */
  readonly maxBytes: number;
  /** Largest image in pixels; 2^26 by default. */
  readonly maxPixels: number;
}

/** The names of {@link DecodeLimits}. */
export const limitNames = {
  maxBytes: "limit",
  maxPixels: "limit",
} satisfies OptionNames<DecodeLimits>;

/** Where an encoded image (JPEG, PNG, …) lies; a plain object that other threads can open. */
export interface ImageLocation {
  /** Path of the image file, or of the tar file that holds it. */
  readonly file: string;
  /** First byte of the image inside `file`. */
  readonly offset: number;
  /** Number of bytes; `-1` for the whole file. */
  readonly length: number;
  /** The image's name for messages: its path inside the folder or tar file. */
  readonly name: string;
  /** Class index. */
  readonly label: number;
}

/**
 * A data set that can also hand out its images as bytes, in their own size, before any transform.
 * Every data set of this package is one.
 */
export interface PixelDataset extends ImageDataset {
  /** A short name for logs and messages. */
  readonly name: string;
  /** The bytes of image `index`. */
  pixels(index: number): LabeledPixels | Promise<LabeledPixels>;
  /** Where image `index` lies, for data sets that decode files. */
  locate?(index: number): ImageLocation;
  /** The operations that `get` applies to the bytes; none if absent. */
  readonly transform?: readonly ImageOperation[];
  /** Limits for the files that are decoded. */
  readonly limits?: DecodeLimits;
}

/** Throws unless `index` is a position in `dataset`. */
export function checkIndex(dataset: ImageDataset, index: number): void {
  if (Number.isInteger(index) && index >= 0 && index < dataset.length) return;
  throw new DmaeError(
    "argument",
    `get: index must be an integer in [0, ${dataset.length}) for ${datasetName(dataset)}, got ${index}`,
    { dataset: dataset.name, length: dataset.length, received: index },
  );
}

/** True for data sets that hand out bytes, as all of this package do; a field `pixels` that is undefined is none. */
export function isPixelDataset(dataset: ImageDataset): dataset is PixelDataset {
  return typeof (dataset as Partial<PixelDataset>).pixels === "function";
}
