import { DmaeError, type HostTensor, type TypedArray } from "@dmae/core";
import { widenHalf } from "./half.ts";

/** Element types that checkpoint files hold; the names PyTorch uses. */
export type StoredDType =
  | "float64"
  | "float32"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint64"
  | "uint32"
  | "uint16"
  | "uint8"
  | "bool";

/** What a file says of a tensor before its values are read. */
export interface StoredSpec {
  /** Element type in the file. */
  readonly dtype: StoredDType;
  /** Dimensions, outermost first; `[]` is a scalar. */
  readonly shape: readonly number[];
}

/**
 * A tensor exactly as a file stores it. A {@link HostTensor} is one too. `data` is the typed array of
 * the dtype: `BigInt64Array` for int64, the bits in a `Uint16Array` for float16 and bfloat16.
 */
export interface StoredTensor extends StoredSpec {
  /** Values in row-major order. */
  readonly data: TypedArray;
}

/** Named stored tensors; every `HostTensors` record is one. */
export type StoredTensors = Readonly<Record<string, StoredTensor>>;

type ArrayClass = new (buffer: ArrayBuffer) => TypedArray;

interface DTypeFacts {
  readonly bytes: number;
  /** The name in a safetensors header. */
  readonly safetensors: string;
  readonly array: ArrayClass;
}

/** @internal */
export const dtypes: Readonly<Record<StoredDType, DTypeFacts>> = {
  float64: { bytes: 8, safetensors: "F64", array: Float64Array },
  float32: { bytes: 4, safetensors: "F32", array: Float32Array },
  float16: { bytes: 2, safetensors: "F16", array: Uint16Array },
  bfloat16: { bytes: 2, safetensors: "BF16", array: Uint16Array },
  int64: { bytes: 8, safetensors: "I64", array: BigInt64Array },
  int32: { bytes: 4, safetensors: "I32", array: Int32Array },
  int16: { bytes: 2, safetensors: "I16", array: Int16Array },
  int8: { bytes: 1, safetensors: "I8", array: Int8Array },
  uint64: { bytes: 8, safetensors: "U64", array: BigUint64Array },
  uint32: { bytes: 4, safetensors: "U32", array: Uint32Array },
  uint16: { bytes: 2, safetensors: "U16", array: Uint16Array },
  uint8: { bytes: 1, safetensors: "U8", array: Uint8Array },
  bool: { bytes: 1, safetensors: "BOOL", array: Uint8Array },
};

/** Bytes of one tensor whose shape was checked. @internal */
export function byteLength({ dtype, shape }: StoredSpec): number {
  return shape.reduce((product, size) => product * size, dtypes[dtype].bytes);
}

/** Bytes `start … end - 1` in memory of their own; `slice` of a node `Buffer` would be a view. @internal */
export function copyBytes(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}

/** Little-endian bytes as the typed array of the dtype; copies only when they are not aligned. @internal */
export function viewAs(dtype: StoredDType, bytes: Uint8Array): TypedArray {
  const { bytes: size, array } = dtypes[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : copyBytes(bytes);
  const Class = array as new (
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
  ) => TypedArray;
  return new Class(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

/**
 * What {@link HostTensor} can hold: float16 and bfloat16 widen exactly to float32, float64 rounds to
 * the nearest float32, integers become int32.
 *
 * @throws DmaeError "numeric" for an integer outside int32; `readExact` gives such values unchanged
 * @internal
 */
export function toHostTensor(caller: string, name: string, stored: StoredTensor): HostTensor {
  const { dtype, shape, data } = stored;
  if (dtype === "float32") return { dtype, shape, data: data as Float32Array };
  if (dtype === "int32") return { dtype, shape, data: data as Int32Array };
  if (dtype === "bool") return { dtype, shape, data: data as Uint8Array };
  if (dtype === "float16" || dtype === "bfloat16" || dtype === "float64")
    return { dtype: "float32", shape, data: toFloat32(dtype, data) };
  const values = new Int32Array(data.length);
  for (let i = 0; i < values.length; i++) {
    values[i] = Number(data[i]!);
    if (BigInt(values[i]!) !== BigInt(data[i]!))
      throw new DmaeError(
        "numeric",
        `${caller}: ${dtype} values must fit int32, got ${data[i]} in "${name}"; readExact("${name}") gives them unchanged`,
        { name, index: i },
      );
  }
  return { dtype: "int32", shape, data: values };
}

function toFloat32(dtype: "float16" | "bfloat16" | "float64", data: TypedArray): Float32Array {
  if (dtype === "float64") return Float32Array.from(data as Float64Array);
  const bits = new Uint32Array(data.length);
  const half = data as Uint16Array;
  if (dtype === "bfloat16") for (let i = 0; i < bits.length; i++) bits[i] = half[i]! << 16;
  else for (let i = 0; i < bits.length; i++) bits[i] = widenHalf(half[i]!);
  return new Float32Array(bits.buffer);
}
