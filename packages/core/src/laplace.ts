import { checkFinite } from "./check.ts";
import type { OptionNames } from "./check-options.ts";
import {
  type Drawn,
  type DrawOptions,
  drawNames,
  type FloatArray,
  forEachChunk,
  kernelsFor,
  prepare,
} from "./draw.ts";
import { DmaeError } from "./errors.ts";
import type { Key } from "./key.ts";
import { domains } from "./philox.ts";

/** Options of {@link laplace}. */
export interface LaplaceOptions extends DrawOptions {
  /** Scale b of the density `exp(-|z| / b) / (2 b)`, finite and `>= 0`; the variance is 2 b^2. Default 1. */
  readonly scale?: number | undefined;
}

/** The names of {@link LaplaceOptions}. */
export const laplaceNames = { ...drawNames, scale: true } satisfies OptionNames<LaplaceOptions>;

/**
 * Draws independent Laplace variates of mean 0 by the inverse of the distribution function, computed
 * only with exactly rounded operations: the same bits on every engine and machine.
 *
 * @param sizeOrOut number of elements of a new `Float32Array`, or the array to fill
 * @throws {DmaeError} "argument" for a bad key, index or scale
 * @example
 * const z = laplace(key(1), 3072, { index: 17, scale: 0.25 });
 */
export function laplace<T extends number | FloatArray>(
  key: Key,
  sizeOrOut: T,
  options: LaplaceOptions = {},
): Drawn<T> {
  const { scale = 1 } = options;
  const out = prepare("laplace", key, sizeOrOut, options, laplaceNames);
  checkFinite("laplace: scale", scale);
  if (scale < 0) throw new DmaeError("argument", `laplace: scale must be >= 0, got ${scale}`);
  forEachChunk(
    kernelsFor(out.length).laplaces,
    key,
    domains.laplace,
    options,
    out.length,
    (values, from, to, position) => {
      const shift = position - from;
      for (let i = from; i < to; i++) out[i + shift] = scale * (values[i] as number);
    },
  );
  return out as Drawn<T>;
}
