import { DmaeError } from "@dmae/core";

/** Throws unless `alpha` is a probability of error in (0, 1). */
export function checkAlpha(caller: string, alpha: number, name = "alpha"): void {
  if (!(typeof alpha === "number" && alpha > 0 && alpha < 1))
    throw new DmaeError("argument", `${caller}: ${name} must lie in (0, 1), got ${show(alpha)}`);
}

/** Throws unless `value` is a finite number above zero. */
export function checkPositive(caller: string, name: string, value: number): void {
  if (!(typeof value === "number" && value > 0 && value < Number.POSITIVE_INFINITY))
    throw new DmaeError(
      "argument",
      `${caller}: ${name} must be a finite number above 0, got ${show(value)}`,
    );
}

/** Throws unless `rows` is an array, of rows of a log. */
export function checkRows(caller: string, rows: unknown, name = "rows"): void {
  if (!Array.isArray(rows))
    throw new DmaeError(
      "argument",
      `${caller}: ${name} must be an array of log rows, as readLog resolves to, got ${show(rows)}`,
    );
}

/** Throws unless `radii` is an array of numbers from 0 on. */
export function checkRadii(caller: string, radii: unknown): void {
  if (!Array.isArray(radii))
    throw new DmaeError(
      "argument",
      `${caller}: radii must be an array, e.g. [0, 0.25, 0.5], got ${show(radii)}`,
    );
  for (const r of radii)
    if (!(typeof r === "number" && r >= 0))
      throw new DmaeError("argument", `${caller}: radii must be >= 0, got ${show(r)}`);
}

/** Throws unless `value` is a probability in [0, 1]. */
export function checkProbability(caller: string, name: string, value: number): void {
  if (!(typeof value === "number" && value >= 0 && value <= 1))
    throw new DmaeError("argument", `${caller}: ${name} must lie in [0, 1], got ${show(value)}`);
}

/** Throws unless `counts` are votes by class: a non-empty array of integers >= 0. */
export function checkCounts(caller: string, name: string, counts: readonly number[]): void {
  if (!Array.isArray(counts) || counts.length === 0)
    throw new DmaeError(
      "argument",
      `${caller}: ${name} must be votes by class, a non-empty array, got ${show(counts)}`,
    );
  const wrong = counts.findIndex((count) => !Number.isSafeInteger(count) || count < 0);
  if (wrong >= 0)
    throw new DmaeError(
      "argument",
      `${caller}: ${name} must be integers >= 0, got ${show(counts[wrong])} for class ${wrong}`,
    );
}

/** Throws unless `value` is an integer of at least `least`. */
export function checkInteger(caller: string, name: string, value: number, least = 1): void {
  if (!Number.isSafeInteger(value) || value < least)
    throw new DmaeError(
      "argument",
      `${caller}: ${name} must be an integer of at least ${least}, got ${show(value)}`,
    );
}

type Rule = (caller: string, name: string, value: number) => void;

const inUnit: Rule = (caller, name, value) => checkAlpha(caller, value, name);
const rules = {
  sigma: checkPositive,
  radius: checkPositive,
  n0: checkInteger,
  n: checkInteger,
  pilot: checkInteger,
  maxSamples: checkInteger,
  steps: checkInteger,
  rounds: checkInteger,
  samples: checkInteger,
  images: checkInteger,
  alpha: inUnit,
  quantile: inUnit,
  relativeWidth: inUnit,
} satisfies Record<string, Rule>;

/** Throws unless each of the numbers that procedures take, named as their options are, is in its range. */
export function checkNumbers(
  caller: string,
  numbers: { readonly [name in keyof typeof rules]?: number },
): void {
  for (const [name, value] of Object.entries(numbers))
    rules[name as keyof typeof rules](caller, name, value);
}

/** Throws unless `value` is one of `names`. */
export function checkOneOf(
  caller: string,
  name: string,
  value: unknown,
  names: readonly string[],
): void {
  if (names.includes(value as string)) return;
  const quoted = names.map((each) => show(each));
  const list = `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
  throw new DmaeError("argument", `${caller}: ${name} must be ${list}, got ${show(value)}`);
}

/**
 * Throws for an option that belongs to `certify` and would be ignored here, unless it says what is done
 * anyway.
 */
export function refuseOthers(
  caller: string,
  options: object,
  done: Readonly<Record<string, string>>,
): void {
  for (const [name, value] of Object.entries(done)) {
    const given = (options as Record<string, unknown>)[name];
    if (given === undefined || given === value) continue;
    throw new DmaeError(
      "argument",
      `${caller}: ${name} must be ${show(value)}, the only one supported here, got ${show(given)}; use certify for others`,
    );
  }
}

/** A value as it appears in an error message. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) {
    if (Array.isArray(value)) return "an array";
    const name = value.constructor?.name;
    if (!name || name === "Object") return "an object";
    return `${/^[AEIO]/.test(name) ? "an" : "a"} ${name}`;
  }
  return String(value);
}
