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

/** Options of {@link normal}. */
export interface NormalOptions extends DrawOptions {
  /** Mean of all elements, or of each (an array of the same length; may be the output itself). Default 0. */
  readonly mean?: number | FloatArray | undefined;
  /** Standard deviation, finite and `>= 0`. Default 1. */
  readonly standardDeviation?: number | undefined;
}

/** The names of {@link NormalOptions}. */
export const normalNames = {
  ...drawNames,
  mean: true,
  standardDeviation: true,
} satisfies OptionNames<NormalOptions>;

/**
 * Draws independent normals: `mean + standardDeviation * z` in float64, rounded once to the type of
 * the output.
 *
 * Element `i` is a pure function of (key, index, i): Philox4x32-10 words, 64 of them bits for the
 * radius and 64 for the angle of a Box-Muller pair, computed only with exactly rounded operations.
 * The bits are the same on every engine and machine, and |z| reaches 9.49.
 *
 * @param sizeOrOut number of elements of a new `Float32Array`, or the array to fill
 * @throws {DmaeError} "argument" for a bad key, index, mean or deviation; "shape" for a `mean` array
 *   of another length
 * @example
 * const noisy = normal(key(1), new Float32Array(3072), { index: 17, mean: image, standardDeviation: 0.25 });
 */
export function normal<T extends number | FloatArray>(
  key: Key,
  sizeOrOut: T,
  options: NormalOptions = {},
): Drawn<T> {
  const { mean = 0, standardDeviation = 1 } = options;
  const out = prepare("normal", key, sizeOrOut, options, normalNames);
  checkFinite("normal: standardDeviation", standardDeviation);
  if (standardDeviation < 0)
    throw new DmaeError(
      "argument",
      `normal: standardDeviation must be >= 0, got ${standardDeviation}`,
    );
  checkMean(mean, out.length);
  const { normals, shift } = kernelsFor(out.length);
  const add = typeof mean === "number" ? addToNumber : addToArray;
  const isFloat32 = out instanceof Float32Array && !(mean instanceof Float64Array);
  forEachChunk(normals, key, domains.normal, options, out.length, (values, from, to, at) => {
    if (shift && isFloat32) {
      const part = typeof mean === "number" ? mean : mean.subarray(at, at + to - from);
      out.set(shift(from, to, part, standardDeviation), at);
    } else add(values, from, to, at, mean as never, standardDeviation, out);
  });
  return out as Drawn<T>;
}

function checkMean(mean: unknown, length: number): void {
  if (!(mean instanceof Float32Array || mean instanceof Float64Array)) {
    checkFinite("normal: mean, where it is not a Float32Array or Float64Array,", mean);
  } else if (mean.length !== length)
    throw new DmaeError(
      "shape",
      `normal: mean must have as many elements as the output, got ${mean.length} and ${length}`,
    );
}

type Add<Mean> = (
  values: Float64Array,
  from: number,
  to: number,
  position: number,
  mean: Mean,
  scale: number,
  out: FloatArray,
) => void;

const addToNumber: Add<number> = (values, from, to, position, mean, scale, out) => {
  for (let i = from; i < to; i++) out[position + i - from] = mean + scale * (values[i] as number);
};

const addToArray: Add<FloatArray> = (values, from, to, position, mean, scale, out) => {
  for (let i = from; i < to; i++) {
    const at = position + i - from;
    out[at] = (mean[at] as number) + scale * (values[i] as number);
  }
};
