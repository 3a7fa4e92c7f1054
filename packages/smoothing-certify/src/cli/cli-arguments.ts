import { parseArgs } from "node:util";
import { DmaeError } from "@dmae/core";
import { nameDistance, nearestNames } from "@dmae/core/checks";
import {
  aboutOf,
  commands,
  type Kind,
  type OptionName,
  options,
  readsLogs,
} from "./cli-options.ts";

/** The value of an option by its kind. */
type Value<K> = K extends "switch"
  ? true
  : K extends "text"
    ? string
    : K extends "list"
      ? number[]
      : K extends "interval"
        ? readonly [number, number]
        : K extends readonly (infer Word)[]
          ? Word
          : number;
type ValueOf<Name extends OptionName> = Value<(typeof options)[Name][0]>;
type CamelCase<Name extends string> = Name extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;
const camelCase = (name: string) =>
  name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/** Parsed command-line options. */
export class Arguments {
  constructor(
    private readonly command: string,
    private readonly values: Readonly<Record<string, unknown>>,
    /** Arguments that are no options. */
    readonly files: readonly string[],
  ) {}

  /** The value of an option; undefined for one that is not there. */
  get<Name extends OptionName>(name: Name): ValueOf<Name> | undefined {
    return this.values[name] as ValueOf<Name> | undefined;
  }

  needed<Name extends OptionName>(name: Name): ValueOf<Name> {
    const value = this.get(name);
    if (value === undefined)
      throw new DmaeError("argument", `--${name} is needed: ${aboutOf(name, this.command)}`);
    return value;
  }

  has(name: OptionName): boolean {
    return this.values[name] !== undefined;
  }

  /** Throws for the first of these options that is there: none may be passed over in silence. */
  refuse(names: readonly OptionName[], reason: string): void {
    const extra = names.find((name) => this.has(name));
    if (extra) throw new DmaeError("argument", `--${extra} ${reason}`);
  }

  /** Those of the options that are there, under the names that the library has for them. */
  pick<Name extends OptionName>(...names: readonly Name[]) {
    const found = names.filter((name) => this.has(name));
    return Object.fromEntries(found.map((name) => [camelCase(name), this.get(name)])) as {
      readonly [Key in Name as CamelCase<Key>]?: ValueOf<Key>;
    };
  }
}

const numberIn = (text: string) => (text.trim() === "" ? Number.NaN : Number(text));

/** What the text of an option says. All are read before anything is computed. */
function readValue(name: OptionName, text: string): unknown {
  const kind: Kind = options[name][0];
  const fail = (rule: string): never => {
    throw new DmaeError("argument", `--${name} must be ${rule}, got ${JSON.stringify(text)}`);
  };
  if (kind === "text") return text;
  if (typeof kind !== "string")
    return kind.includes(text) ? text : fail(kind.join(", ").replace(/, ([^,]*)$/, " or $1"));
  if (kind === "list" || kind === "interval") {
    const numbers = text.split(",").map(numberIn);
    return numbers.every(Number.isFinite) ? numbers : fail("numbers with commas between");
  }
  const number = numberIn(text);
  const rules: Readonly<Record<string, readonly [ok: boolean, rule: string]>> = {
    count: [Number.isSafeInteger(number) && number >= 1, "an integer of at least 1"],
    positive: [Number.isFinite(number) && number > 0, "a number above 0"],
    fraction: [number > 0 && number < 1, "a number in (0, 1)"],
    number: [Number.isFinite(number), "a number"],
  };
  const [ok, rule] = rules[kind]!;
  return ok ? number : fail(rule);
}

/** A library's message with options as they are written on the command line, `--size 28` for `size: 28`. */
export function withOptionNames(message: string): string {
  return Object.keys(options).reduce((text, name) => withOptionName(text, name), message);
}

function withOptionName(text: string, name: string): string {
  const key = camelCase(name);
  const given = new RegExp(
    `(?<= )(\\{ )?${key}: (true|\\[[^\\]]*\\]|"[^"]*"|\\d[\\d.]*\\b)( \\})?`,
    "g",
  );
  const bare = name.includes("-") ? `(?<![-\\w])${key}\\b` : `(?<=(?<!data )\\bset )${key}\\b`;
  return text
    .replace(given, (_, _open, value: string) => `--${name}${argumentOf(value)}`)
    .replace(new RegExp(bare, "g"), `--${name}`);
}

/** A value of JavaScript as it follows an option: nothing for a switch. */
function argumentOf(value: string): string {
  const plain = value.replace(/^true$|[[\]" ]/g, "");
  return plain === "" ? "" : `${plain.startsWith("-") ? "=" : " "}${plain}`;
}

/** Parses what follows the command's name; throws for options that the command does not take. */
export function parseArguments(command: string, argv: readonly string[]): Arguments {
  const { takes, needs = [] } = commands[command]!;
  const typeOf = (name: OptionName) => (options[name][0] === "switch" ? "boolean" : "string");
  const config = Object.fromEntries(
    takes.map((name) => [
      name,
      { type: typeOf(name) as "string", ...(name === "help" && { short: "h" }) },
    ]),
  );
  const { values, positionals } = parsed(command, () =>
    parseArgs({ args: [...argv], options: config, allowPositionals: true }),
  );
  const read = Object.entries<unknown>(values).map(([name, value]) => [
    name,
    typeof value === "string" ? readValue(name as OptionName, value) : value,
  ]);
  const args = new Arguments(command, Object.fromEntries(read), positionals);
  if (args.has("help")) return args;
  if (positionals.length > 0 && !readsLogs(command) && command !== "verify")
    throw new DmaeError(
      "argument",
      `${command}: takes options only, got ${positionals.join(" ")}; see ${command} --help`,
    );
  for (const name of needs) args.needed(name);
  return args;
}

function parsed<T>(command: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const { message: reason = String(cause), code } = cause as Error & { code?: string };
    const [unknown] = (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION" && /--?[^' ]+/.exec(reason)) || [];
    const rule = unknown ? `unknown option ${unknown}${nearTo(unknown, command)}` : reason;
    throw new DmaeError("argument", `${command}: ${rule}; see ${command} --help`, {}, { cause });
  }
}

/** The option that was probably meant, if one is near. */
function nearTo(unknown: string, command: string): string {
  const name = unknown.replace(/^-+/, "");
  const [nearest] = nearestNames(name, commands[command]!.takes, 1);
  const isNear = nameDistance(name, nearest!) <= Math.max(1, name.length / 3);
  return isNear ? `; did you mean --${nearest}?` : "";
}

function placeholderOf(kind: Kind): string {
  if (typeof kind !== "string") return "WORD";
  return {
    count: "N",
    positive: "X",
    fraction: "X",
    number: "X",
    list: "X,X",
    interval: "X,X",
    text: "TEXT",
    switch: "",
  }[kind];
}

/** The text of `--help`. */
export function help(command?: string): string {
  const chosen = command === undefined ? undefined : commands[command];
  if (!chosen) {
    const list = Object.entries(commands).map(
      ([name, { about }]) => `  ${name.padEnd(10)} ${about}`,
    );
    return `smoothing-certify COMMAND [options]\n\n${list.join("\n")}\n\nsmoothing-certify COMMAND --help lists a command's options; smoothing-certify --version prints the version.\n`;
  }
  const files = readsLogs(command!) ? " LOG..." : command === "verify" ? " FILE" : "";
  const list = chosen.takes.map((name) => {
    const [kind] = options[name];
    const usage = kind === "switch" ? `--${name}` : `--${name} ${placeholderOf(kind)}`;
    return `  ${usage.padEnd(26)} ${aboutOf(name, command!)}`;
  });
  return `smoothing-certify ${command}${files} [options]: ${chosen.about}\n\n${list.join("\n")}\n`;
}
