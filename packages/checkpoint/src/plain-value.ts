import type { StoredSpec } from "./dtypes.ts";

/** A tensor inside {@link Checkpoint.contents}; give it to `read` or `readExact`. */
export interface TensorReference extends StoredSpec {
  /** Tells a tensor from a record of plain data. */
  readonly kind: "tensor";
}

/** A record of plain data: a Python dict with text or whole-number keys, or an `argparse.Namespace`. */
export interface PlainRecord {
  readonly [key: string]: PlainValue;
}

/**
 * What a checkpoint holds beside tensors, as data: Python's None, bool, int (a bigint beyond 2^53),
 * float, str, bytes; list, tuple and set as arrays; dict as a record, or as a Map where keys are of
 * other types.
 */
export type PlainValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | TensorReference
  | readonly PlainValue[]
  | ReadonlyMap<PlainValue, PlainValue>
  | PlainRecord;

const references = new WeakSet<object>();

/** Makes `value` known as a tensor: a record of plain data that only looks like one is none. @internal */
export function markReference<T extends TensorReference>(value: T): T {
  references.add(value);
  return value;
}

/** True for a tensor, false for plain data. */
export function isTensorReference(value: PlainValue | undefined): value is TensorReference {
  return typeof value === "object" && value !== null && references.has(value);
}

/** A record, not a tensor, list, Map or bytes. @internal */
export function isPlainRecord(value: unknown): value is PlainRecord {
  if (typeof value !== "object" || value === null || references.has(value)) return false;
  return !Array.isArray(value) && !(value instanceof Map) && !(value instanceof Uint8Array);
}
