import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { parseRandAugment, type RandAugmentConfig } from "./rand-augment.ts";

/** One step of an image transform: a plain object, so that it can be logged and sent to a worker. */
export type ImageOperation =
  | { readonly op: "resize"; readonly size: number }
  | { readonly op: "centerCrop"; readonly size: number }
  | {
      readonly op: "randomResizedCrop";
      readonly size: number;
      readonly scale: readonly [number, number];
      readonly ratio: readonly [number, number];
    }
  | { readonly op: "randomCrop"; readonly size: number; readonly padding: number }
  | { readonly op: "randomHorizontalFlip"; readonly probability: number }
  | ({ readonly op: "randAugment" } & RandAugmentConfig)
  | {
      readonly op: "randomErasing";
      readonly probability: number;
      readonly mean: readonly number[];
      readonly std: readonly number[];
    };

/** Mean and deviation of ImageNet's channels in [0, 1]. */
export const imagenetMean: readonly number[] = [0.485, 0.456, 0.406];
/** See {@link imagenetMean}. */
export const imagenetStd: readonly number[] = [0.229, 0.224, 0.225];

/** Resizes, the shorter side to `size` pixels, bicubic as Pillow (torchvision `Resize`). */
export function resize(size: number): ImageOperation {
  return { op: "resize", size: checkSize("resize", size) };
}

/** Takes the middle `size` x `size` pixels (torchvision `CenterCrop`). */
export function centerCrop(size: number): ImageOperation {
  return { op: "centerCrop", size: checkSize("centerCrop", size) };
}

/**
 * Takes a rectangle of random area and shape and resizes it to `size` x `size`, bicubic as Pillow
 * (torchvision `RandomResizedCrop`).
 *
 * @param size side of the result, pixels
 * @param options `scale`: range of the area, as a fraction of the image's, `[0.2, 1]` (the pre-training's) by
 *   default; `ratio`: range of width / height, `[3/4, 4/3]` by default
 */
export function randomResizedCrop(
  size: number,
  options: {
    readonly scale?: readonly [number, number];
    readonly ratio?: readonly [number, number];
  } = {},
): ImageOperation {
  checkOptions("randomResizedCrop", options, { scale: true, ratio: true });
  const { scale = [0.2, 1], ratio = [3 / 4, 4 / 3] } = options;
  checkRange("randomResizedCrop: scale", scale, 1);
  checkRange("randomResizedCrop: ratio", ratio, Number.POSITIVE_INFINITY);
  return { op: "randomResizedCrop", size: checkSize("randomResizedCrop", size), scale, ratio };
}

/**
 * Surrounds the image with `padding` black pixels and takes a random `size` x `size` window (torchvision `RandomCrop`): with
 * the image's own size, a shift of at most `padding` pixels in each direction.
 *
 * @param size side of the result, pixels
 * @param options `padding`: pixels added on each side, 0 by default
 */
export function randomCrop(
  size: number,
  options: { readonly padding?: number } = {},
): ImageOperation {
  checkOptions("randomCrop", options, { padding: true });
  const { padding = 0 } = options;
  if (!Number.isInteger(padding) || padding < 0)
    throw new DmaeError(
      "argument",
      `randomCrop: padding must be a whole number of pixels, 0 or more, got ${padding}`,
    );
  return { op: "randomCrop", size: checkSize("randomCrop", size), padding };
}

/** Mirrors the image left to right with the given probability (torchvision `RandomHorizontalFlip`). */
export function randomHorizontalFlip(probability = 0.5): ImageOperation {
  return {
    op: "randomHorizontalFlip",
    probability: checkProbability("randomHorizontalFlip", probability),
  };
}

/**
 * RandAugment (Cubuk et al. 2020) in timm's variant with increasing severity: `rand-m9-mstd0.5-inc1` applies
 * two of 15 operations, each with probability 1/2, at magnitude N(9, 0.5) of 10. For colour images.
 *
 * @param policy timm's notation; `m`, `mstd`, `n` and `inc1` are understood
 * @param options `fill`: what comes in from outside the image, ImageNet's mean colour by default
 */
export function randAugment(
  policy = "rand-m9-mstd0.5-inc1",
  options: { readonly fill?: readonly number[] } = {},
): ImageOperation {
  checkOptions("randAugment", options, { fill: true });
  const { fill = [124, 116, 104] } = options;
  checkEach("randAugment: fill", fill, 0, 255);
  return { op: "randAugment", ...parseRandAugment(policy), fill };
}

/**
 * Fills a random rectangle with normal noise (Zhong et al. 2020; timm's `mode="pixel"`). The last operation of
 * a transform, since its values are no bytes. timm erases normalised images; here the model normalises, so the
 * noise is `mean + std * N(0, 1)`. The official DMAE code never applies it.
 *
 * @param probability of erasing
 * @param options the `mean` and `std` that the model normalises with, ImageNet's by default
 */
export function randomErasing(
  probability = 0.25,
  options: {
    readonly mean?: readonly number[] | undefined;
    readonly std?: readonly number[] | undefined;
  } = {},
): ImageOperation {
  checkOptions("randomErasing", options, { mean: true, std: true });
  const { mean = imagenetMean, std = imagenetStd } = options;
  if (mean.length !== std.length)
    throw new DmaeError(
      "shape",
      `randomErasing: mean and std must have one value per channel, got ${mean.length} and ${std.length}`,
    );
  checkEach("randomErasing: mean", mean, -Number.MAX_VALUE, Number.MAX_VALUE);
  checkEach("randomErasing: std", std, 0, Number.MAX_VALUE);
  return {
    op: "randomErasing",
    probability: checkProbability("randomErasing", probability),
    mean,
    std,
  };
}

/**
 * The evaluation transform of the official scripts: shorter side to `int(size / 0.875)` (256 for 224), or to `size`
 * itself above 224; then the middle `size` x `size`.
 */
export function evaluationTransform(size = 224): readonly ImageOperation[] {
  return [resize(size <= 224 ? Math.trunc(size / 0.875) : size), centerCrop(size)];
}

/** True for operations that draw random numbers. */
export const isRandom = ({ op }: ImageOperation): boolean => op.startsWith("rand");

/** Largest side of an image in pixels. */
const mostSide = 16384;

function checkSize(name: string, size: number): number {
  if (Number.isInteger(size) && size > 0 && size <= mostSide) return size;
  throw new DmaeError(
    "argument",
    `${name}: size must be an integer of 1 to ${mostSide}, got ${JSON.stringify(size)}`,
  );
}

function checkEach(name: string, values: readonly number[], low: number, high: number): void {
  if (Array.isArray(values) && values.every((value) => value >= low && value <= high)) return;
  const range =
    high === Number.MAX_VALUE
      ? `finite numbers${low === 0 ? " of at least 0" : ""}`
      : `numbers in [${low}, ${high}]`;
  throw new DmaeError("argument", `${name} must hold ${range}, got [${values}]`);
}

function checkProbability(name: string, probability: number): number {
  if (typeof probability === "number" && probability >= 0 && probability <= 1) return probability;
  throw new DmaeError("argument", `${name}: probability must lie in [0, 1], got ${probability}`);
}

function checkRange(name: string, range: readonly [number, number], most: number): void {
  const [low, high] = Array.isArray(range) ? range.map(Number) : [];
  if (range?.length === 2 && low! > 0 && low! <= high! && high! <= most) return;
  const got = Array.isArray(range) ? `[${range.join(", ")}]` : range;
  throw new DmaeError("argument", `${name} must be a range in (0, ${most}], got ${got}`);
}
