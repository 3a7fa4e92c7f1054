import { expect, it } from "vitest";

/**
 * Calls with options of the exports of a module; the other arguments are good. A name is that of the export,
 * behind it perhaps `(which options)` and `> function`, where the errors name another function.
 */
export type Calls = Readonly<Record<string, (options: never) => unknown>>;

/**
 * Tests the names of options: `calls` and `others`, the exports that take none, are all exports of the
 * module; each call refuses what is no object, and every name that is misspelt, with the nearest. The
 * names come from the errors, so a call never does its work.
 */
export function testOptionNames(module: object, calls: Calls, others: readonly string[]): void {
  it("every export is known to take options or not", () => {
    const callers = new Set(Object.keys(calls).map(exportOf));
    expect([...callers, ...others].sort()).toEqual(Object.keys(module).sort());
  });
  it.each(Object.entries(calls))("%s refuses unknown names", async (name, call) => {
    const caller = callerOf(name);
    const none = await errorOf(call, 0);
    expect(none.message).toMatch(new RegExp(`^${caller}: .+ must be an object.*, got 0$`));
    for (const [path, known] of await tablesOf(call, []))
      for (const good of known) {
        const wrong = good === good.toUpperCase() ? `${good}_` : good.toUpperCase();
        const error = await errorOf(call, nested(path, wrong));
        const [given, meant] = [wrong, good].map((each) =>
          JSON.stringify([...path, each].join(".")),
        );
        expect(error).toMatchObject({ code: "argument" });
        expect(error.message).toContain(`${caller}: unknown `);
        expect(error.message).toContain(` ${given}; did you mean ${meant}?`);
      }
  });
}

type NameTables = (readonly [path: readonly string[], names: readonly string[]])[];

/** The names at `path`, and those of every name of them that is an object of options. */
async function tablesOf(call: Calls[string], path: readonly string[]): Promise<NameTables> {
  const { names = [] } = (await errorOf(call, nested(path, unknown))).details;
  expect(names, path.join(".")).not.toHaveLength(0);
  const tables: NameTables = [[path, names]];
  for (const name of names) {
    const inner = [...path, name];
    const { details } = await errorOf(call, { ...nested(inner, unknown), [unknown]: undefined });
    if (details.name === [...inner, unknown].join("."))
      tables.push(...(await tablesOf(call, inner)));
  }
  return tables;
}

const unknown = "?";

/** `{ a: { b: { name: undefined } } }` for the path a, b. */
function nested(path: readonly string[], name: string): object {
  return [...path, name].reduceRight<unknown>(
    (inner, key) => ({ [key]: inner }),
    undefined,
  ) as object;
}

interface OptionsError extends Error {
  readonly details: { readonly name?: string; readonly names?: readonly string[] };
}

async function errorOf(call: Calls[string], options: unknown): Promise<OptionsError> {
  try {
    await call(options as never);
  } catch (error) {
    return error as OptionsError;
  }
  throw new Error(`no error for ${JSON.stringify(options)}`);
}

const exportOf = (name: string) => name.split(" ")[0]!;
const callerOf = (name: string) => / > (.+)$/.exec(name)?.[1] ?? exportOf(name);
