import { Tensor } from "@tensorflow/tfjs-core";

/** What a value is, in words for an error: `an array`, `a tf.Tensor`, `"text"`. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Tensor) return "a tf.Tensor";
  if (Array.isArray(value)) return "an array";
  if (isPromise(value)) return "a promise";
  if (ArrayBuffer.isView(value)) return `a bare ${value.constructor.name}`;
  const names = Object.keys(value);
  return names.length > 0 ? `an object with ${names.join(", ")}` : "an empty object";
}

/** True for what an async function returns. */
export const isPromise = (value: unknown): boolean =>
  typeof (value as { then?: unknown } | null | undefined)?.then === "function";

/** Ignores the rejection of a promise: one that nobody handles would end the process. */
export function ignoreRejection(value: unknown): void {
  if (isPromise(value)) Promise.resolve(value).catch(() => {});
}

/** True for an object that names its parts: no tensor, array or promise. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" &&
  value !== null &&
  !(value instanceof Tensor) &&
  !Array.isArray(value) &&
  !ArrayBuffer.isView(value) &&
  !isPromise(value);

/** `"a", "b" or "c"`. */
export const oneOf = (names: readonly string[]): string =>
  `${names.slice(0, -1).map(describeValue).join(", ")} or ${describeValue(names.at(-1))}`;
