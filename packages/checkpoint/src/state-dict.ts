import { DmaeError } from "@dmae/core";
import {
  isPlainRecord,
  isTensorReference,
  type PlainRecord,
  type PlainValue,
  type TensorReference,
} from "./plain-value.ts";

/** Where training scripts put the model, in the order in which they are tried. */
const usualKeys = ["model", "state_dict", "model_state_dict"];
/** How `@dmae/train` names what a training state holds. */
const trainingName = /^(params|optimizer|gradients|ema)\./;
const maxNames = 1_000_000;

/**
 * The tensors of the model by name. `select` is the key (or keys, from the outside in) under which
 * they lie; by default a bare state dict, the first of "model", "state_dict", "model_state_dict", or the
 * `params.` of our training states; null for everything.
 *
 * @internal
 */
export function stateDict(
  caller: string,
  contents: PlainRecord,
  select: string | readonly string[] | null | undefined,
): Map<string, TensorReference> {
  const path = select === undefined ? usualPath(caller, contents) : [select ?? []].flat();
  let value: PlainValue | undefined = contents;
  for (const key of path) {
    value = child(value, key);
    if (value === undefined)
      throw new DmaeError(
        "checkpoint",
        `${caller}: the file has nothing at ${path.join(" > ")}; ${describe(contents)}`,
      );
  }
  const found = new Map<string, TensorReference>();
  collect(caller, value, "", found, { visits: 0 });
  return found;
}

/** The value under `key`; in a flat record, the entries whose names begin with `key` and a dot. */
function child(value: PlainValue, key: string): PlainValue | undefined {
  if (!isPlainRecord(value)) return undefined;
  if (Object.hasOwn(value, key)) return value[key];
  const entries = Object.entries(value).filter(([name]) => name.startsWith(`${key}.`));
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.map(([name, entry]) => [name.slice(key.length + 1), entry]));
}

function usualPath(caller: string, contents: PlainRecord): readonly string[] {
  const names = Object.keys(contents);
  const isTraining = names.length > 0 && names.every((name) => trainingName.test(name));
  if (isTraining && names.some((name) => name.startsWith("params."))) return ["params"];
  if (names.length === 0 || Object.values(contents).some(isTensorReference)) return [];
  const key = usualKeys.find((name) => Object.hasOwn(contents, name));
  if (key !== undefined) return [key];
  throw new DmaeError(
    "checkpoint",
    `${caller}: the file has no state dict where one is usual; ${describe(contents)}; name the key with select, or take everything with select: null`,
  );
}

function describe(contents: PlainRecord): string {
  return `its keys are ${Object.keys(contents).slice(0, 50).join(", ")}`;
}

/** Nested tensors get dotted names; lists count from 0. Values that are no tensors have no name. */
function collect(
  caller: string,
  value: PlainValue,
  name: string,
  found: Map<string, TensorReference>,
  budget: { visits: number },
): void {
  if (++budget.visits > maxNames || name.length > 10_000)
    throw new DmaeError("file", `${caller}: the file names more than ${maxNames} values`);
  if (isTensorReference(value)) {
    if (found.has(name) || name === "__proto__")
      throw new DmaeError("checkpoint", `${caller}: the file has two tensors named "${name}"`);
    found.set(name, value);
  } else if (Array.isArray(value) || isPlainRecord(value)) {
    for (const [key, item] of Object.entries(value as PlainRecord))
      collect(caller, item, name === "" ? key : `${name}.${key}`, found, budget);
  }
}
