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
const maxNames = 1_000_000;

/**
 * The tensors of the model by name. `select` is the key (or keys, from the outside in) under which
 * they lie; by default a bare state dict, or the first of "model", "state_dict", "model_state_dict".
 *
 * @internal
 */
export function stateDict(
  caller: string,
  contents: PlainValue,
  select: string | readonly string[] | undefined,
): Map<string, TensorReference> {
  const path = select === undefined ? usualPath(caller, contents) : [select].flat();
  let value: PlainValue | undefined = contents;
  for (const key of path) {
    value = isPlainRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
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

function usualPath(caller: string, contents: PlainValue): readonly string[] {
  if (isTensorReference(contents)) return [];
  if (isPlainRecord(contents)) {
    const values = Object.values(contents);
    if (values.length === 0 || values.some(isTensorReference)) return [];
    const key = usualKeys.find((name) => Object.hasOwn(contents, name));
    if (key !== undefined) return [key];
  }
  throw new DmaeError(
    "checkpoint",
    `${caller}: the file has no state dict where one is usual; ${describe(contents)}; name the key with select, or take everything with select: []`,
  );
}

function describe(contents: PlainValue): string {
  if (!isPlainRecord(contents)) return "it holds no dictionary";
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
    for (const [key, child] of Object.entries(value as PlainRecord))
      collect(caller, child, name === "" ? key : `${name}.${key}`, found, budget);
  }
}
