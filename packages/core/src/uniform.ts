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

/** Options of {@link uniform}. */
export interface UniformOptions extends DrawOptions {
  /** Lower end, default 0. */
  readonly low?: number | undefined;
  /** Upper end, above `low`; default 1. */
  readonly high?: number | undefined;
}

/** The names of {@link UniformOptions}. */
export const uniformNames = {
  ...drawNames,
  low: true,
  high: true,
} satisfies OptionNames<UniformOptions>;

/**
 * Draws independent uniforms `low + (high - low) u`, where u has 53 random bits and lies in (0, 1).
 *
 * A value that would round up to `high` is replaced by the number below it, one that would round to
 * below `low` by the number above it, so the results lie in `[low, high)`, and in (0, 1) by default. Element `i` is a pure function of (key, index, i).
 *
 * @param sizeOrOut number of elements of a new `Float32Array`, or the array to fill; a `Float64Array`
 *   keeps all 53 bits
 * @throws {DmaeError} "argument" for a bad key, index or range
 * @example
 * const u = uniform(key("dropout"), new Float64Array(10), { index: 3 });
 */
export function uniform<T extends number | FloatArray>(
  key: Key,
  sizeOrOut: T,
  options: UniformOptions = {},
): Drawn<T> {
  const { low = 0, high = 1 } = options;
  const out = prepare("uniform", key, sizeOrOut, options, uniformNames);
  const range = { low, high, ...checkRange(low, high, out) };
  const { uniforms } = kernelsFor(out.length);
  const unchanged = out instanceof Float64Array && low === 0 && high === 1;
  forEachChunk(uniforms, key, domains.uniform, options, out.length, (values, from, to, at) => {
    if (unchanged) out.set(values.subarray(from, to), at);
    else scaleInto(values.subarray(from, to), at, range, out);
  });
  return out as Drawn<T>;
}

function scaleInto(
  values: Float64Array,
  position: number,
  { low, high, first, last }: Range,
  out: FloatArray,
): void {
  for (let i = 0; i < values.length; i++) {
    const value = low + (high - low) * (values[i] as number);
    out[position + i] = value > last ? last : value < first ? first : value;
  }
}

interface Range {
  readonly low: number;
  readonly high: number;
  /** The smallest number of the output's type that is not below `low`. */
  readonly first: number;
  /** The largest number of the output's type below `high`. */
  readonly last: number;
}

/** Checks `low < high` in the precision of `out` and returns the numbers of it at the ends. */
function checkRange(low: number, high: number, out: FloatArray): Pick<Range, "first" | "last"> {
  checkFinite("uniform: low", low);
  checkFinite("uniform: high", high);
  const last = below(high, out);
  if (!Number.isFinite(high - low) || !(low <= last))
    throw new DmaeError(
      "argument",
      `uniform: low must lie below high, less than 1.8e308 apart, got low ${low} and high ${high}`,
    );
  const rounded = out instanceof Float64Array ? low : Math.fround(low);
  return { first: rounded < low ? -below(-rounded, out) : rounded, last };
}

/** The largest number of the type of `like` that is below `limit`. */
function below(limit: number, like: FloatArray): number {
  const double = like instanceof Float64Array;
  const value = double ? new Float64Array([limit]) : new Float32Array([limit]);
  if ((value[0] as number) < limit) return value[0] as number;
  if (value[0] === 0) return double ? -Number.MIN_VALUE : -(2 ** -149);
  const bits = double ? new BigInt64Array(value.buffer) : new Int32Array(value.buffer);
  const step = (value[0] as number) > 0 ? -1 : 1;
  if (bits instanceof BigInt64Array) bits[0] = (bits[0] as bigint) + BigInt(step);
  else bits[0] = (bits[0] as number) + step;
  return value[0] as number;
}
