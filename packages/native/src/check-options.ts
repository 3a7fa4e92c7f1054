import { NativeError } from "./errors.ts";

/** Throws where `options` is not an object, or has a name that `names` lacks. */
export function checkOptions<T extends object>(
  caller: string,
  options: T,
  names: Readonly<Record<keyof T, true>>,
): void {
  if (typeof options !== "object" || options === null)
    throw new NativeError("argument", `${caller}: options must be an object, got ${options}`);
  for (const name of Object.keys(options))
    if (!Object.hasOwn(names, name))
      throw new NativeError(
        "argument",
        `${caller}: unknown option ${JSON.stringify(name)}`,
        `known: ${Object.keys(names).join(", ")}`,
      );
}
