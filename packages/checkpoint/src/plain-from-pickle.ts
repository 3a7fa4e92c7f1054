import type { Fail } from "./pickle-globals.ts";
import {
  PickleGlobal,
  PickleInstance,
  PickleStorage,
  PickleTensor,
  type PickleValue,
} from "./pickle-values.ts";
import type { PlainRecord, PlainValue } from "./plain-value.ts";

const maxDepth = 200;

/**
 * Turns what a pickle built into plain data. A value that is shared stays shared, so the work is
 * linear; one that contains itself is refused.
 *
 * @internal
 */
export function plainFromPickle(root: PickleValue, fail: Fail): PlainValue {
  const done = new Map<object, PlainValue>();
  const open = new Set<object>();

  const convert = (value: PickleValue): PlainValue => {
    if (typeof value !== "object" || value === null) return value;
    if (value instanceof Uint8Array || value instanceof PickleTensor) return value;
    const known = done.get(value);
    if (known !== undefined) return known;
    if (open.has(value)) return fail("it holds a value that contains itself");
    if (open.size >= maxDepth) return fail(`it nests values more than ${maxDepth} deep`);
    open.add(value);
    const plain = convertObject(value);
    open.delete(value);
    done.set(value, plain);
    return plain;
  };

  const convertObject = (value: Exclude<PickleValue, Uint8Array> & object): PlainValue => {
    if (Array.isArray(value)) return value.map(convert);
    if (value instanceof Set) return Array.from(value, convert);
    if (value instanceof Map) return convertMap(value);
    if (value instanceof PickleInstance) return convertInstance(value);
    if (value instanceof PickleGlobal) return value.name;
    if (value instanceof PickleStorage) return fail("it holds a storage outside a tensor");
    return value as PickleTensor;
  };

  const convertMap = (map: Map<PickleValue, PickleValue>): PlainValue => {
    const entries = Array.from(map, ([key, item]) => [convert(key), convert(item)] as const);
    const named = entries.every(([key]) => typeof key === "string" || Number.isInteger(key));
    if (!named) return new Map(entries);
    const record = Object.fromEntries(entries) as PlainRecord;
    return Object.keys(record).length === entries.length ? record : new Map(entries);
  };

  const convertInstance = ({ global, args, state, items, entries }: PickleInstance): PlainValue => {
    if (global.name === "argparse.Namespace") return state === null ? {} : convert(state);
    return {
      ...{ global: global.name, args: args.map(convert), state: convert(state) },
      ...(items?.length ? { items: items.map(convert) } : {}),
      ...(entries?.size ? { entries: convertMap(entries) } : {}),
    };
  };

  return convert(root);
}
