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
/** Most tensors with a name, and most characters of all names together. */
const maxNames = 200_000;
const maxCharacters = 1 << 23;

/**
 * The tensors of the model by name. `select` is the key (or keys, from the outside in) under which
 * they lie; by default the first record of "model", "state_dict", "model_state_dict", else a bare state dict,
 * or the `params.` of our training states; null for everything.
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
  return nameTensors(caller, value);
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
  // what else has such a name, e.g. "model": "resnet50", is passed over
  const usual = (isOf: (value: PlainValue) => boolean) =>
    usualKeys.find((name) => Object.hasOwn(contents, name) && isOf(contents[name]!));
  const key = usual(isPlainRecord); // beside it there may be a tensor, e.g. best_acc
  if (key !== undefined) return [key];
  if (names.length === 0 || Object.values(contents).some(isTensorReference)) return [];
  const list = usual(Array.isArray);
  if (list !== undefined) return [list];
  throw new DmaeError(
    "checkpoint",
    `${caller}: the file has no state dict where one is usual; ${describe(contents)}; name the key with select, or take everything with select: null`,
  );
}

function describe(contents: PlainRecord): string {
  return `its keys are ${Object.keys(contents).slice(0, 50).join(", ")}`;
}

/**
 * Nested tensors get dotted names; lists count from 0. Values without tensors have no name, and are looked at
 * once, however often they are shared: a pickle of a kilobyte can hold a million paths to one list.
 */
function nameTensors(caller: string, root: PlainValue): Map<string, TensorReference> {
  const found = new Map<string, TensorReference>();
  const tensors = tensorHolders(root);
  let characters = 0;
  const add = (name: string, reference: TensorReference) => {
    characters += name.length;
    if (found.size >= maxNames || characters > maxCharacters)
      throw new DmaeError(
        "file",
        `${caller}: the file gives its tensors more than ${maxNames} names, or names of ${maxCharacters} characters`,
      );
    if (found.has(name) || name === "__proto__")
      throw new DmaeError("checkpoint", `${caller}: the file has two tensors named "${name}"`);
    found.set(name, reference);
  };
  const visit = (value: PlainValue, name: string): void => {
    if (isTensorReference(value)) add(name, value);
    else
      for (const [key, item] of Object.entries(value as PlainRecord))
        if (tensors.has(item as object)) visit(item, name === "" ? key : `${name}.${key}`);
  };
  if (tensors.has(root as object)) visit(root, "");
  return found;
}

/** The tensors below `root`, and the lists and records that hold some. */
function tensorHolders(root: PlainValue): ReadonlySet<object> {
  const holders = new Set<object>();
  const seen = new Set<object>();
  const visit = (value: PlainValue): boolean => {
    if (typeof value !== "object" || value === null) return false;
    if (seen.has(value)) return holders.has(value);
    seen.add(value);
    const inside = Array.isArray(value) ? value : isPlainRecord(value) ? Object.values(value) : [];
    const holds = inside.map(visit).includes(true) || isTensorReference(value);
    if (holds) holders.add(value);
    return holds;
  };
  visit(root);
  return holders;
}
