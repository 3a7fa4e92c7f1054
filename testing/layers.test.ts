import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const architecture = readFileSync(join(root, "docs/architecture.md"), "utf8");
/** Folders without a package.json are what builds of another branch left behind. */
const packages = readdirSync(join(root, "packages")).filter((name) =>
  existsSync(join(root, "packages", name, "package.json")),
);

/** Names by row, from a table of docs/architecture.md: the words at the start of a column. */
function rowsOf(kind: "row" | "room", names: readonly string[]): Map<string, number> {
  const rows = new Map<string, number>();
  for (const [, row, line] of architecture.matchAll(new RegExp(`^${kind} (\\d+) {2}(.*)$`, "gm")))
    for (const name of names)
      if (new RegExp(`(^| {2,}|, )${name}(?=$| ->| \\(|:|,| {2})`).test(line!) && !rows.has(name))
        rows.set(name, Number(row));
  return rows;
}

/**
 * The sources of a package, tests left out, and what each imports: modules by name, files by path. Optional peers are
 * loaded where they are used (`await import`) and do not count; files of the package do.
 */
function importsOf(name: string): Map<string, string[]> {
  const folder = join(root, "packages", name, "src");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    .filter(
      (file) => /\.ts$/.test(file) && !/\.test\.ts$|\.example\.ts$|__fixtures__|testing/.test(file),
    );
  const importing = /^(?:import|export)[^;]*? from "([^"]+)|\bimport\("(\.[^"]+)/gm;
  const targets = (file: string) =>
    [...readFileSync(join(folder, file), "utf8").matchAll(importing)].map(
      ([, from, dynamic]) => from ?? dynamic!,
    );
  const resolved = (file: string, target: string) =>
    target.startsWith(".") ? posix.join(posix.dirname(file), target) : target;
  return new Map(files.map((file) => [file, targets(file).map((each) => resolved(file, each))]));
}

it("no package imports one on its own row of docs/architecture.md or below", () => {
  const rows = rowsOf("row", packages);
  expect(packages.filter((name) => !rows.has(name))).toEqual([]);
  const wrong = packages.flatMap((name) =>
    [...importsOf(name).values()]
      .flat()
      .flatMap((target) => /^@dmae\/([a-z-]+)/.exec(target)?.[1] ?? [])
      .filter((other) => other !== name && rows.get(other)! >= rows.get(name)!)
      .map((other) => `${name} (row ${rows.get(name)}) -> ${other} (row ${rows.get(other)})`),
  );
  expect(wrong).toEqual([]);
});

it("the rooms of smoothing-certify import in one direction", () => {
  const files = [...importsOf("smoothing-certify").keys()];
  const rooms = [...new Set(files.flatMap((file) => /^(.+?)\//.exec(file)?.[1] ?? []))];
  const rows = rowsOf("room", rooms);
  expect(rooms.filter((room) => !rows.has(room))).toEqual([]);
  const roomOf = (file: string) => (file.includes("/") ? file.split("/")[0]! : undefined);
  const wrong = [...importsOf("smoothing-certify")].flatMap(([file, targets]) =>
    targets
      .filter((target) => {
        const [from, to] = [roomOf(file), roomOf(target)];
        if (from === undefined || from === to || to === undefined || !rows.has(to)) return false;
        return rows.get(to)! >= rows.get(from)!;
      })
      .map((target) => `${file} -> ${target}`),
  );
  expect(wrong).toEqual([]);
});

it.each(packages)("the sources of %s import each other without a circle", (name) => {
  const imports = importsOf(name);
  const done = new Set<string>();
  function circle(file: string, path: readonly string[]): readonly string[] | undefined {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const target of imports.get(file) ?? []) {
      const found = circle(target, [...path, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  }
  for (const file of imports.keys()) expect(circle(file, [])).toBeUndefined();
});

it("the main entries export at most 120 values", () => {
  const report = readFileSync(join(root, "docs/api-report.md"), "utf8"); // kept current by `npm test`
  const main = report.slice(report.indexOf("## Main entries"), report.indexOf("## Subpaths"));
  const values = [...main.matchAll(/^Values \((\d+)\):\n\n((?:- \w+\n)+)/gm)].map(
    ([, count, names]) => {
      expect(names!.trim().split("\n")).toHaveLength(Number(count));
      return Number(count);
    },
  );
  expect(values.length).toBeGreaterThan(15);
  expect(values.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(120);
});

it("every entry of a package has its source", () => {
  for (const name of packages) {
    const manifest = readFileSync(join(root, "packages", name, "package.json"), "utf8");
    for (const path of Object.keys(JSON.parse(manifest).exports))
      if (/^\.(\/[a-z-]+)?$/.test(path)) {
        const file = `packages/${name}/src/${path.slice(2) || "index"}.ts`;
        expect(existsSync(join(root, file)), file).toBe(true);
      }
  }
});
