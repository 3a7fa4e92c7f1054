import type { HostTensor } from "./types.ts";

/**
 * A kind of value that an option may have, by which `checkOptions` tells a wrong one before any work: `"seed"` is
 * what `key` takes, `"executor"` what `@dmae/nn` calls so, `"path"` a path or a `URL`, `"limit"` a number above 0, `"tensor"` a host tensor, `"tensors"` several by name. A list has the values that there are.
 */
export type OptionKind =
  | "boolean"
  | "executor"
  | "function"
  | "limit"
  | "list"
  | "path"
  | "seed"
  | "signal"
  | "tensor"
  | "tensors"
  | "text"
  | readonly string[];

/** Each kind: how it is told, and what a message calls it. */
const kinds = {
  boolean: [(value) => typeof value === "boolean", "true or false"],
  executor: [isExecutor, "an executor, e.g. eagerExecutor() or compiledExecutor()"],
  function: [(value) => typeof value === "function", "a function"],
  limit: [(value) => typeof value === "number" && value > 0, "a number above 0"],
  list: [(value) => Array.isArray(value), "an array"],
  path: [(value) => isText(value) || value instanceof URL, "a path or a URL"],
  seed: [isSeed, "an integer in [0, 2^53), a bigint in [0, 2^64) or a string"],
  signal: [isSignal, "an AbortSignal, e.g. AbortSignal.timeout(60_000)"],
  tensor: [isHostTensor, "a host tensor { dtype, shape, data }"],
  tensors: [isHostTensors, "host tensors { dtype, shape, data } by name"],
  text: [isText, "a string"],
} satisfies Record<
  Extract<OptionKind, string>,
  readonly [is: (value: unknown) => boolean, rule: string]
>;

/** What an option must be, for a value that is not of its kind. */
export function brokenRule(value: unknown, kind: OptionKind): string | undefined {
  if (typeof kind === "string") {
    const [is, rule] = kinds[kind];
    return is(value) ? undefined : rule;
  }
  if (kind.includes(value as string)) return undefined;
  const quoted = kind.map((choice) => JSON.stringify(choice));
  return `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isSeed(value: unknown): boolean {
  if (typeof value === "bigint") return value >= 0n && value < 2n ** 64n;
  return isText(value) || (Number.isSafeInteger(value) && Number(value) >= 0);
}

function isExecutor(value: unknown): boolean {
  const { prepareFunction, prepareStep } = (value ?? {}) as Record<string, unknown>;
  return typeof prepareFunction === "function" && typeof prepareStep === "function";
}

/** By its parts, not its class: signals of other realms and libraries are fine. */
function isSignal(value: unknown): boolean {
  const { aborted, throwIfAborted } = (value ?? {}) as Partial<AbortSignal>;
  return typeof aborted === "boolean" && typeof throwIfAborted === "function";
}

function isHostTensor(value: unknown): boolean {
  const { dtype, shape, data } = (value ?? {}) as Partial<HostTensor>;
  return isText(dtype) && Array.isArray(shape) && ArrayBuffer.isView(data);
}

function isHostTensors(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every(isHostTensor);
}
