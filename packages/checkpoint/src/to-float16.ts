import { DmaeError, type HostTensors } from "@dmae/core";
import type { StoredTensors } from "./dtypes.ts";
import { asFloat, narrowHalf } from "./half.ts";

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
