import { show } from "./check.ts";
import { DmaeError } from "./errors.ts";
import { nameDistance, nearestNames } from "./nearest-names.ts";
import { brokenRule, type OptionKind } from "./option-kinds.ts";

/**
 * The names of all options of type `T`: a kind for a value that {@link checkOptions} is to check, `true` for one
 * that the function checks itself, a table of its own for an object of options.
 * Where several functions share a table, write it beside the type with `satisfies OptionNames<T>`:
 * TypeScript then complains where the table and the type differ.
 */
export type OptionNames<T> = {
  readonly [K in keyof T]-?: true | OptionKind | OptionNames<Extract<T[K], object>>;
};

/** A table of names, whatever it is of. */
interface NameTable {
  readonly [name: string]: true | OptionKind | NameTable;
}

/**
 * Throws if `options` is not an object, if it or an object in it has a name that `names` lacks, or if a value is
 * not of the kind that `names` gives.
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
    if (isKind(inner)) checkKind(caller, path + name, value, inner);
    else if (isRecord(value)) checkNames(caller, value, inner, what, `${path}${name}.`);
  }
}

const isKind = (names: OptionKind | NameTable): names is OptionKind =>
  typeof names === "string" || Array.isArray(names);

function checkKind(caller: string, name: string, value: unknown, kind: OptionKind): void {
  const rule = value === undefined ? undefined : brokenRule(value, kind);
  if (rule === undefined) return;
  throw new DmaeError("argument", `${caller}: ${name} must be ${rule}, got ${show(value)}`, {
    name,
    value,
  });
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
