import { DmaeError, type FloatArray } from "@dmae/core";
import { show } from "../checks.ts";
import { checkPixels, type Range } from "./range.ts";
import { hasNumbers, isDisposed, isTensor, type TensorLike } from "./tensors.ts";

/**
 * One input: a TensorFlow.js tensor without batch dimension, numbers in row-major order, or numbers
 * with their shape. Noise is added to these numbers as they are, so sigma is in their units: in float64,
 * and only the noisy copies are rounded to float32.
 */
export type ImageInput =
  | TensorLike
  | Float32Array
  | Float64Array
  | Uint8Array
  | Uint8ClampedArray
  | readonly number[]
  | { readonly data: ArrayLike<number>; readonly shape: readonly number[] };

/** An input in ordinary memory. */
export interface Image {
  readonly data: FloatArray;
  readonly shape: readonly number[];
  /** Whether it came as a tensor, so that its classifier gets tensors. */
  readonly tensor: boolean;
}

/** Options of {@link readImage}. */
interface Reading {
  /** The shape of a bare array. */
  readonly shape?: readonly number[] | undefined;
  /** The shape that the classifier wants, for a bare array without one. */
  readonly imageShape?: readonly number[] | undefined;
  /** Bounds of the numbers. */
  readonly range?: Range | undefined;
}

/** Brings an input into ordinary memory and checks it. */
export async function readImage(
  caller: string,
  x: ImageInput,
  { shape, imageShape, range }: Reading = {},
): Promise<Image> {
  const image = isTensor(x)
    ? await fromTensor(caller, x)
    : fromNumbers(caller, x, shape ?? (isNumbers(x) ? imageShape : undefined));
  checkPixels(caller, image.data, range);
  return image;
}

async function fromTensor(caller: string, x: TensorLike): Promise<Image> {
  if (isDisposed(x))
    throw new DmaeError("argument", `${caller}: x must be a live tensor, got a disposed one`);
  if (!hasNumbers(x))
    throw new DmaeError(
      "argument",
      `${caller}: x must be a tensor of numbers, got dtype ${x.dtype}; cast it to float32`,
    );
  if (x.shape.some((length) => length === 0))
    throw new DmaeError("shape", `${caller}: x must have elements, got a tensor [${x.shape}]`);
  return { data: toFloats(await x.data()), shape: x.shape, tensor: true };
}

function fromNumbers(caller: string, x: unknown, shape?: readonly number[]): Image {
  const holder = (typeof x === "object" && x !== null ? x : {}) as Record<string, unknown>;
  const values = Array.isArray(x) || isNumbers(x) ? x : holder.data;
  checkElements(caller, values);
  if (!isNumbers(values))
    throw new DmaeError(
      "argument",
      `${caller}: x must be a tensor, an array of numbers or {data, shape}, got ${show(x)}`,
    );
  const dimensions = shape ?? holder.shape ?? [values.length];
  checkShape(caller, dimensions);
  const size = dimensions.reduce((product, length) => product * length, 1);
  if (size !== values.length)
    throw new DmaeError(
      "shape",
      `${caller}: shape [${dimensions}] holds ${size} numbers, but x has ${values.length}`,
    );
  return { data: toFloats(values), shape: dimensions, tensor: false };
}

/** Throws for arrays that are empty, nested or hold something else than numbers. */
function checkElements(caller: string, values: unknown): void {
  if (!Array.isArray(values) && !isNumbers(values)) return;
  if (values.length === 0)
    throw new DmaeError("argument", `${caller}: x must have elements, got an empty array`);
  if (!Array.isArray(values)) return;
  if (isNumbers(values[0]) || Array.isArray(values[0]))
    throw new DmaeError(
      "argument",
      `${caller}: x must be a flat array of numbers, got an array of arrays; flatten it row by row and give its shape, {data, shape: [${lengthsOf(values).join(", ")}]}`,
    );
  const odd = values.findIndex((value) => typeof value !== "number");
  if (odd >= 0)
    throw new DmaeError(
      "argument",
      `${caller}: x must hold numbers, got ${show(values[odd])} at element ${odd}`,
    );
}

/** The shape of nested arrays, read off their first elements. */
const lengthsOf = (values: unknown): number[] =>
  Array.isArray(values) || isNumbers(values) ? [values.length, ...lengthsOf(values[0])] : [];

/** The numbers as float32 where that holds them exactly, else as float64: rounding would change the input. */
export function toFloats(values: ArrayLike<number>): FloatArray {
  if (values instanceof Float32Array) return values.slice();
  const rounded = Float32Array.from(values);
  const isExact = rounded.every((value, i) => value === values[i]);
  return isExact ? rounded : Float64Array.from(values);
}

function checkShape(caller: string, shape: unknown): asserts shape is readonly number[] {
  if (!Array.isArray(shape))
    throw new DmaeError(
      "shape",
      `${caller}: shape must be an array of lengths, e.g. [28, 28, 1], got ${show(shape)}`,
    );
  const odd = shape.find((length) => !Number.isSafeInteger(length) || length < 1);
  if (odd !== undefined)
    throw new DmaeError(
      "shape",
      `${caller}: shape must have integers of at least 1, got ${show(odd)} in [${shape}]`,
    );
}

/** Whether a value is an array of numbers, plain or typed. */
export function isNumbers(value: unknown): value is ArrayLike<number> {
  if (value instanceof BigInt64Array || value instanceof BigUint64Array) return false;
  return (
    (ArrayBuffer.isView(value) && !(value instanceof DataView)) ||
    (Array.isArray(value) && typeof value[0] === "number")
  );
}
