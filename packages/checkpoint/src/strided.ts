import type { TypedArray } from "@dmae/core";

/**
 * Copies a strided view into row-major order. `data` starts at the view's first element.
 *
 * @internal
 */
export function gather<T extends TypedArray>(
  data: T,
  shape: readonly number[],
  strides: readonly number[],
): T {
  const count = shape.reduce((product, size) => product * size, 1);
  if (isContiguous(shape, strides)) return data.subarray(0, count) as T;
  const out = new (data.constructor as new (length: number) => T)(count);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, from = 0; i < count; i++) {
    out[i] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis]! > 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}
