import { DmaeError, type HostTensors } from "@dmae/core";
import type { StoredTensors } from "./dtypes.ts";

/** The float32 bits of float16 bits; a NaN keeps its payload. */
export function widenHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // a subnormal half is a normal float32
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13);
}

/** The float16 bits nearest to a float32 number, given as bits; ties go to the even one. */
export function narrowHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >> 13) & 1023); // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and more round to infinity
  if (magnitude < 0x38800000) return sign | subnormalHalf(magnitude);
  const rebased = magnitude - (112 << 23);
  return sign | ((rebased + 0xfff + ((rebased >> 13) & 1)) >> 13);
}

/** Steps of 2^-24 nearest to a number below 2^-14. */
function subnormalHalf(magnitude: number): number {
  const steps = asFloat(magnitude) * 2 ** 24; // exact in float64
  const below = Math.floor(steps);
  const rest = steps - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

const asFloat = (bits: number) => new Float32Array(new Uint32Array([bits]).buffer)[0]!;

/**
 * Rounds float32 tensors to float16 for storage, to the nearest value, ties to even. int32 and bool tensors stay as they are.
 *
 * @param tensors name -> tensor of any shape
 * @returns new tensors for `saveSafetensors` or `encodeSafetensors`: the float16 bits in a `Uint16Array`
 * @throws DmaeError "numeric" for a finite number of 65520 or more in magnitude, which float16 cannot hold
 *
 * @example
 * ```ts
 * await saveSafetensors("classifier.safetensors", toFloat16(tuned.params));
 * ```
 */
export function toFloat16(tensors: HostTensors): StoredTensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, data }]) => {
      if (dtype !== "float32") return [name, { dtype, shape, data }];
      const bits = new Uint32Array((data as Float32Array).slice().buffer);
      return [name, { dtype: "float16", shape, data: Uint16Array.from(bits, narrow(name)) }];
    }),
  ) as StoredTensors;
}

const narrow = (name: string) => (bits: number, index: number) => {
  const half = narrowHalf(bits);
  if ((half & 0x7fff) === 0x7c00 && (bits & 0x7fffffff) !== 0x7f800000)
    throw new DmaeError(
      "numeric",
      `toFloat16: values must be below 65520, got ${asFloat(bits)} in "${name}"; store this tensor as float32`,
      { name, index },
    );
  return half;
};
