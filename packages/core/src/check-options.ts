import { show } from "./check.ts";
import { DmaeError } from "./errors.ts";
import { nameDistance, nearestNames } from "./nearest-names.ts";

/**
 * The names of all options of type `T`: `true` for a value, a table of its own for an object of options.
 * Where several functions share a table, write it beside the type with `satisfies OptionNames<T>`:
 * TypeScript then complains where the table and the type differ.
 */
export type OptionNames<T> = {
  readonly [K in keyof T]-?: true | OptionNames<Extract<T[K], object>>;
};

/** A table of names, whatever it is of. */
interface NameTable {
  readonly [name: string]: true | NameTable;
}

/**
 * Throws if `options` is not an object, or if it or an object in it has a name that `names` lacks.
 *
 * @param caller the function that was called, for the message
 * @param options what the user passed
 * @param names the names that exist; nested options are checked where the table nests
 * @param what the word for one of them in the message; default "option"
 * @throws DmaeError "argument" `certify: unknown option "alhpa"; did you mean "alpha"?`
 * @example
 * checkOptions("certify", options, { sigma: true, shard: { index: true, count: true } });
 */
export function checkOptions<T>(
  caller: string,
  options: T,
  names: NoInfer<OptionNames<T>>,
  what = "option",
): void {
  if (!isRecord(options))
    throw new DmaeError("argument", `${caller}: ${what}s must be an object, got ${show(options)}`);
  checkNames(caller, options, names as NameTable, what, "");
}

function checkNames(
  caller: string,
  given: Readonly<Record<string, unknown>>,
  names: NameTable,
  what: string,
  path: string,
): void {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(names, name)) throw unknownName(caller, name, names, what, path);
    const inner = names[name]!;
    if (inner === true) continue;
    const value = given[name];
    if (isRecord(value)) checkNames(caller, value, inner, what, `${path}${name}.`);
  }
}

function unknownName(
  caller: string,
  name: string,
  names: NameTable,
  what: string,
  path: string,
): DmaeError {
  const known = Object.keys(names);
  const [nearest] = nearestNames(name, known, 1);
  const isNear =
    nearest !== undefined && nameDistance(name, nearest) <= Math.max(1, name.length / 2);
  const hint = isNear
    ? `did you mean ${show(path + nearest)}?`
    : known.length === 0
      ? "there are none here"
      : `known are ${known.map((each) => path + each).join(", ")}`;
  return new DmaeError("argument", `${caller}: unknown ${what} ${show(path + name)}; ${hint}`, {
    name: path + name,
    names: known,
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
