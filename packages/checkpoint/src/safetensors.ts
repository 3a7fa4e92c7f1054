import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import {
  byteLength,
  copyBytes,
  dtypes,
  type StoredTensor,
  type StoredTensors,
  toHostTensor,
  viewAs,
} from "./dtypes.ts";
import { isWellFormed } from "./json.ts";
import { headerLength, maxRank, parseHeader } from "./safetensors-header.ts";

/** Largest JSON header that is read or written by default. @internal */
export const defaultMaxHeader = 1 << 24;

/** Text that travels in a safetensors file beside the tensors: recipe, seed, data set, metrics. */
export type Metadata = Readonly<Record<string, string>>;

/**
 * The bytes of a safetensors file: 8-byte header length, JSON header, values little-endian. Tensors
 * keep their order, wider element types first so that every one of them is aligned.
 *
 * @param tensors name -> tensor; names of the official state dict make a file that the official
 *   PyTorch model accepts with `strict=True`
 * @param metadata strings only; put structured values in as JSON text
 * @throws DmaeError "shape" where a tensor's data do not match its dtype and shape; "argument" for a
 *   name or a metadata value that the format cannot hold
 *
 * @example
 * ```ts
 * const bytes = encodeSafetensors(
 *   { "head.bias": { dtype: "float32", shape: [2], data: new Float32Array([0.5, -0.5]) } },
 *   { recipe: "cifar10" },
 * );
 * decodeSafetensors(bytes).tensors["head.bias"]; // { dtype: "float32", shape: [2], data: … }
 * ```
 */
export function encodeSafetensors(tensors: StoredTensors, metadata: Metadata = {}): Uint8Array {
  const parts = safetensorsParts("encodeSafetensors", tensors, metadata);
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

/**
 * Reads a safetensors file that lies in memory. float16 and bfloat16 widen exactly to float32, float64
 * rounds to it, integers become int32 (checked); `loadCheckpoint` reads lazily and can read exactly.
 *
 * @throws DmaeError "file" for a damaged header, overlaps, holes, truncation; "unsupported" for an
 *   element type that is not known; "numeric" for an integer outside int32
 */
export function decodeSafetensors(bytes: Uint8Array): { tensors: HostTensors; metadata: Metadata } {
  const caller = "decodeSafetensors";
  const length = headerLength(caller, bytes, bytes.length, defaultMaxHeader);
  const { entries, metadata } = parseHeader(caller, bytes.subarray(8, 8 + length), bytes.length);
  const tensors: Record<string, HostTensor> = {};
  for (const [name, { dtype, shape, start, end }] of entries) {
    const data = viewAs(dtype, copyBytes(bytes, start, end));
    tensors[name] = toHostTensor(caller, name, { dtype, shape, data });
  }
  return { tensors, metadata };
}

/** The pieces of a safetensors file in order, without copying values. @internal */
export function safetensorsParts(
  caller: string,
  tensors: StoredTensors,
  metadata: Metadata,
): Uint8Array[] {
  const named = Object.entries(tensors);
  for (const [name, tensor] of named) checkTensor(caller, name, tensor);
  named.sort(([, a], [, b]) => dtypes[b.dtype].bytes - dtypes[a.dtype].bytes);
  const header: [string, unknown][] = [];
  checkMetadata(caller, metadata);
  if (Object.keys(metadata).length > 0) header.push(["__metadata__", metadata]);
  let position = 0;
  for (const [name, { dtype, shape, data }] of named) {
    const offsets = [position, (position += data.byteLength)];
    header.push([name, { dtype: dtypes[dtype].safetensors, shape, data_offsets: offsets }]);
  }
  const values = named.map(
    ([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  );
  return [encodeHeader(caller, header), ...values];
}

function encodeHeader(caller: string, header: readonly [string, unknown][]): Uint8Array {
  const fields = header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  if (json.length > defaultMaxHeader - 8)
    throw new DmaeError(
      "argument",
      `${caller}: names and metadata may take ${defaultMaxHeader} bytes at most, got ${json.length}`,
    );
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}

function checkTensor(caller: string, name: string, tensor: StoredTensor): void {
  if (name === "__metadata__" || name === "__proto__" || !isWellFormed(name))
    throw new DmaeError("argument", `${caller}: ${JSON.stringify(name)} cannot name a tensor`);
  if (typeof tensor !== "object" || tensor === null)
    throw new DmaeError(
      "argument",
      `${caller}: "${name}" must be a tensor { dtype, shape, data }, got ${tensor === null ? "null" : typeof tensor}`,
      { name },
    );
  const { dtype, shape, data } = tensor;
  const facts = Object.hasOwn(dtypes, dtype) ? dtypes[dtype] : undefined;
  if (!facts)
    throw new DmaeError(
      "argument",
      `${caller}: dtype of "${name}" must be one of ${Object.keys(dtypes).join(", ")}, got ${dtype}`,
    );
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw new DmaeError(
      "shape",
      `${caller}: shape of "${name}" must be whole sizes, got ${shape === undefined ? "undefined" : `[${shape}]`}`,
      { name },
    );
  if (shape.length > maxRank)
    throw new DmaeError(
      "shape",
      `${caller}: shape of "${name}" may have ${maxRank} sizes at most, got ${shape.length}; leave out sizes of 1`,
      { name },
    );
  if (!(data instanceof facts.array) || data.byteLength !== byteLength(tensor))
    throw new DmaeError(
      "shape",
      `${caller}: "${name}" is ${dtype} [${shape}] and needs a ${facts.array.name} of ${byteLength(tensor) / facts.bytes}, got ${data?.constructor?.name} of ${data?.length}`,
      { name },
    );
}

function checkMetadata(caller: string, metadata: Metadata): void {
  for (const [key, value] of Object.entries(metadata))
    if (typeof value !== "string" || !isWellFormed(key) || !isWellFormed(value))
      throw new DmaeError(
        "argument",
        `${caller}: metadata must be well-formed strings, got ${typeof value} for "${key}"; use JSON.stringify`,
      );
}
