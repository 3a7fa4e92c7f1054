import { DmaeError } from "@dmae/core";
import { show } from "../checks.ts";
import type { CheckedPreprocessing } from "./preprocessing.ts";

/** An interval of pixel values. */
export type Range = readonly [low: number, high: number];

/** Where pixels lie unless another range is declared. */
export const UNIT_RANGE: Range = [0, 1];

/** What to do about numbers that do not fit the range; every procedure says this. */
const ADVICE =
  "sigma is in the units of the images, so scale the images to [0, 1], or declare their range, e.g. range: [0, 255]";

/** Throws unless `range` is an interval. */
export function checkRange(caller: string, range: Range | undefined): void {
  if (range === undefined) return;
  const [low = Number.NaN, high = Number.NaN] = Array.isArray(range) ? range : [];
  const finite = [low, high].every((bound) => Number.isFinite(Math.fround(bound))); // noisy copies are float32
  if (finite && low < high && range.length === 2) return;
  throw new DmaeError(
    "argument",
    `${caller}: range must be [low, high] with finite numbers low < high, got ${Array.isArray(range) ? `[${range}]` : show(range)}`,
  );
}

/** Throws where a pixel is no finite number, or outside the declared range. */
export function checkPixels(
  caller: string,
  data: ArrayLike<number>,
  [low, high]: Range = UNIT_RANGE,
): void {
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (value >= low && value <= high) continue;
    if (!Number.isFinite(value))
      throw new DmaeError("argument", `${caller}: x must be finite, got ${value} at element ${i}`);
    throw new DmaeError(
      "argument",
      `${caller}: x must lie in [${low}, ${high}], got ${value} at element ${i}; ${ADVICE}`,
    );
  }
}

/** Widths that the range of the pixels may have once it is preprocessed: bytes have 255, [-1, 1] has 2. */
const WIDTHS: Range = [0.1, 300];

/** Throws where scale, mean and std are those of another range, e.g. of bytes. */
export function checkPreprocessings(
  caller: string,
  preprocessings: readonly CheckedPreprocessing[] = [],
  [low, high]: Range = UNIT_RANGE,
): void {
  for (const { scale, mean, std } of preprocessings) {
    const [from, to] = [low * scale, high * scale];
    if (scale === 1 && mean.every((value) => value === 0) && std.every((value) => value === 1))
      continue; // the pixels as they are
    const far = mean.find((value) => value !== 0 && (value < from || value > to));
    if (far !== undefined)
      throw new DmaeError(
        "argument",
        `${caller}: mean must lie in [${from}, ${to}], the range of the images times scale, got ${far}; ${fixOf(scale)}`,
      );
    const odd = std.find(
      (value) => !(to - from >= WIDTHS[0] * value && to - from <= WIDTHS[1] * value),
    );
    if (odd !== undefined)
      throw new DmaeError(
        "argument",
        `${caller}: scale and std must bring images in [${low}, ${high}] to a range of width ${WIDTHS[0]} to ${WIDTHS[1]}, got ${((to - from) / odd).toPrecision(3)} with scale ${scale} and std ${odd}; ${fixOf(scale)}`,
      );
  }
}

/** What to do about a mean or std of another range. */
const fixOf = (scale: number) =>
  `mean and std apply after scale, so set scale (now ${scale}) to what the model was trained with, or declare the images' range, e.g. range: [0, 255]`;
