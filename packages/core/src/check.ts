import { DmaeError } from "./errors.ts";

/** A value for an error message: strings quoted, bigints marked, objects by their class. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return "an array";
  return value.constructor === Object
    ? JSON.stringify(value)
    : withArticle(value.constructor?.name);
}

/** Throws unless `value` is an integer in `[0, 2^53)`; `what` reads "normal: index". */
export function checkCount(what: string, value: unknown): asserts value is number {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new DmaeError("argument", `${what} must be an integer in [0, 2^53), got ${show(value)}`, {
      value,
    });
}

/** Throws unless `value` is a finite number. */
export function checkFinite(what: string, value: unknown): asserts value is number {
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new DmaeError("argument", `${what} must be a finite number, got ${show(value)}`, {
      value,
    });
}

function withArticle(name = "object"): string {
  return `${/^[AEIO]/i.test(name) ? "an" : "a"} ${name}`;
}
