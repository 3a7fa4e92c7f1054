import { DmaeError } from "@dmae/core";
import { byteLength, dtypes, type StoredDType, type StoredSpec } from "./dtypes.ts";
import { parseJson } from "./json.ts";

/** A tensor's place in a safetensors file. @internal */
export interface SafetensorsEntry extends StoredSpec {
  /** First byte, counted from the start of the file. */
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
}

/** @internal */
export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Most sizes of a shape, read or written. @internal */
export const maxRank = 32;

const fromSafetensors = new Map(
  Object.entries(dtypes).map(([name, facts]) => [facts.safetensors, name as StoredDType]),
);

/**
 * The length of the JSON header that the first 8 bytes announce, checked against the file.
 *
 * @internal
 */
export function headerLength(
  caller: string,
  start: Uint8Array,
  fileSize: number,
  maxHeader: number,
): number {
  if (fileSize < 8 || start.length < 8)
    throw new DmaeError(
      "file",
      `${caller}: a safetensors file has at least 8 bytes, got ${fileSize}`,
    );
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeader))
    throw new DmaeError(
      "file",
      `${caller}: the header may have ${maxHeader} bytes at most, this file announces ${length}; it is damaged or no safetensors file`,
      { headerLength: length, maxHeader },
    );
  if (8 + Number(length) > fileSize)
    throw new DmaeError(
      "file",
      `${caller}: the header ends at byte ${8n + length}, but the file has ${fileSize}; it is truncated or no safetensors file`,
    );
  return Number(length);
}

/**
 * Reads the JSON header and checks what a reader relies on: known dtypes, non-negative integer
 * shapes, offsets that match them, no overlap, no hole, no bytes left over.
 *
 * @internal
 */
export function parseHeader(caller: string, json: Uint8Array, fileSize: number): SafetensorsHeader {
  const header = parseJson(caller, json);
  const dataStart = 8 + json.length;
  const entries = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") metadata = parseMetadata(caller, value);
    else entries.set(name, parseEntry(caller, name, value, dataStart));
  }
  checkCover(caller, entries, dataStart, fileSize);
  return { entries, metadata };
}

function parseMetadata(caller: string, value: unknown): Record<string, string> {
  if (!isRecord(value) || Object.values(value).some((entry) => typeof entry !== "string"))
    throw new DmaeError("file", `${caller}: __metadata__ must map strings to strings`);
  return { ...(value as Record<string, string>) };
}

function parseEntry(
  caller: string,
  name: string,
  value: unknown,
  dataStart: number,
): SafetensorsEntry {
  const fail = (rule: string): never => {
    throw new DmaeError("file", `${caller}: tensor "${name}" ${rule}`, { name });
  };
  if (name === "__proto__") return fail("has a name that JavaScript records cannot hold");
  if (!isRecord(value)) return fail("has no description");
  const { dtype: code, shape, data_offsets: offsets } = value;
  const dtype = fromSafetensors.get(code as string);
  if (!dtype)
    throw new DmaeError(
      "unsupported",
      `${caller}: tensor "${name}" has dtype ${JSON.stringify(code)}; known are ${[...fromSafetensors.keys()].join(", ")}`,
      { name, dtype: code },
    );
  if (!isSizes(shape) || shape.length > maxRank)
    return fail(`needs a shape of at most ${maxRank} sizes >= 0`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!)
    return fail("needs data_offsets [start, end]");
  const [start, end] = offsets as [number, number];
  const bytes = byteLength({ dtype, shape });
  if (end - start !== bytes)
    return fail(`spans ${end - start} bytes, but ${dtype} [${shape}] takes ${bytes}`);
  return { dtype, shape, start: dataStart + start, end: dataStart + end };
}

function checkCover(
  caller: string,
  entries: ReadonlyMap<string, SafetensorsEntry>,
  dataStart: number,
  fileSize: number,
): void {
  const sorted = [...entries].sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  let position = dataStart;
  for (const [name, { start, end }] of sorted) {
    if (start !== position)
      throw new DmaeError(
        "file",
        `${caller}: tensor "${name}" must start at byte ${position} where the one before ends, got ${start} (${start < position ? "overlap" : "hole"})`,
        { name, start, expected: position },
      );
    position = end;
  }
  if (position !== fileSize)
    throw new DmaeError(
      "file",
      `${caller}: the tensors end at byte ${position}, but the file has ${fileSize}; it is ${position > fileSize ? "truncated" : "damaged"}`,
      { expected: position, received: fileSize },
    );
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
