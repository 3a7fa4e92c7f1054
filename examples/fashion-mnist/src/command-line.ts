import { parseArgs } from "node:util";
import { DmaeError } from "@dmae/core";

/** Options as `parseArgs` describes them. */
type OptionsConfig = Readonly<
  Record<
    string,
    {
      readonly type: "string" | "boolean";
      readonly short?: string;
      readonly default?: string | boolean;
    }
  >
>;

/**
 * The options of a program.
 *
 * @throws DmaeError "argument" for one that it does not have
 */
export function commandLine<const T extends OptionsConfig>(
  options: T,
): ReturnType<typeof parseArgs<{ options: T }>>["values"] {
  try {
    return parseArgs({ options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new DmaeError("argument", (cause as Error).message, {}, { cause });
  }
}

/**
 * The whole number that an option gives.
 *
 * @throws DmaeError "argument" for something else, or for a number below `least`
 */
export function wholeNumber(name: string, text: string | number, least = 1): number {
  const value = Number(text);
  if (text !== "" && Number.isSafeInteger(value) && value >= least) return value;
  throw new DmaeError(
    "argument",
    `--${name}: must be a whole number of at least ${least}, got ${text || "nothing"}`,
  );
}
