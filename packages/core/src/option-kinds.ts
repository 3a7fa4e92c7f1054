/**
 * A kind of value that an option may have, by which {@link OptionNames} tells a wrong one before any work:
 * `"seed"` is what `key` takes, `"path"` a path or a `URL`.
 */
export type OptionKind = "boolean" | "function" | "list" | "path" | "seed" | "signal" | "text";

/** Each kind: how it is told, and what a message calls it. */
export const optionKinds: {
  readonly [K in OptionKind]: readonly [is: (value: unknown) => boolean, rule: string];
} = {
  boolean: [(value) => typeof value === "boolean", "true or false"],
  function: [(value) => typeof value === "function", "a function"],
  list: [(value) => Array.isArray(value), "an array"],
  path: [(value) => isText(value) || value instanceof URL, "a path or a URL"],
  seed: [isSeed, "an integer in [0, 2^53), a bigint in [0, 2^64) or a string"],
  signal: [isSignal, "an AbortSignal, e.g. AbortSignal.timeout(60_000)"],
  text: [isText, "a string"],
};

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isSeed(value: unknown): boolean {
  if (typeof value === "bigint") return value >= 0n && value < 2n ** 64n;
  return isText(value) || (Number.isSafeInteger(value) && Number(value) >= 0);
}

/** By its parts, not its class: signals of other realms and libraries are fine. */
function isSignal(value: unknown): boolean {
  const { aborted, throwIfAborted } = (value ?? {}) as Partial<AbortSignal>;
  return typeof aborted === "boolean" && typeof throwIfAborted === "function";
}
