import { parseArgs } from "node:util";
import { DmaeError } from "@dmae/core";
import { nearestNames } from "@dmae/core/checks";

/** Options as `parseArgs` of Node describes them. */
export type CommandOptions = Readonly<
  Record<
    string,
    {
      readonly type: "string" | "boolean";
      readonly short?: string;
      readonly multiple?: boolean;
      readonly default?: string | boolean;
    }
  >
>;

/**
 * The options that a command line gives.
 *
 * @param args default: those of this program
 * @throws DmaeError "argument" for one that there is not, with the nearest names, or that lacks its value
 */
export function commandLine<const T extends CommandOptions>(
  options: T,
  args: readonly string[] = process.argv.slice(2),
): ReturnType<typeof parseArgs<{ options: T }>>["values"] {
  for (const arg of args) {
    const name = /^--([^=]+)/.exec(arg)?.[1];
    if (name === undefined || Object.hasOwn(options, name)) continue;
    const near = nearestNames(name, Object.keys(options)).map((option) => `--${option}`);
    throw new DmaeError(
      "argument",
      `there is no option --${name}; the nearest are ${near.join(", ")}`,
    );
  }
  try {
    return parseArgs({ options, args: [...args], strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new DmaeError("argument", (cause as Error).message, {}, { cause });
  }
}

/**
 * The whole number that an option gives.
 *
 * @throws DmaeError "argument" for something else, or for a number below `least` or above `most`
 */
export function wholeNumber(
  name: string,
  text: string,
  least = 1,
  most = Number.MAX_SAFE_INTEGER,
): number {
  const value = Number(text);
  const fits = Number.isSafeInteger(value) && value >= least && value <= most;
  if (text.trim() !== "" && fits) return value;
  const range =
    most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `of at least ${least}`;
  throw new DmaeError(
    "argument",
    `--${name}: must be a whole number ${range}, got ${text || "nothing"}`,
  );
}
