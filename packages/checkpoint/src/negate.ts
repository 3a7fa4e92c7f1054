import type { TypedArray } from "@dmae/core";
import { dtypes, type StoredDType } from "./dtypes.ts";

/** Negates values in place; floats by their sign bit, so that zeros and NaNs are PyTorch's too. @internal */
export function negate(dtype: StoredDType, data: TypedArray): void {
  if (/^b?float/.test(dtype)) flipSigns(data, dtypes[dtype].bytes);
  else negateWhole(data);
}

function flipSigns(data: TypedArray, size: number): void {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (let high = size - 1; high < bytes.length; high += size) bytes[high]! ^= 0x80;
}

/** Integers wrap around at the ends of their type, as in C. */
function negateWhole(data: TypedArray): void {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    for (let i = 0; i < data.length; i++) data[i] = -data[i]!;
  else for (let i = 0; i < data.length; i++) data[i] = -data[i]!;
}
