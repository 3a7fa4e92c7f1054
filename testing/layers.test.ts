import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Packages by row, from the table of docs/architecture.md: the words before an arrow or a bracket. */
function rowsOfArchitecture(): Map<string, number> {
  const rows = new Map<string, number>();
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  for (const [, row, line] of text.matchAll(/^row (\d+) {2}(.*)$/gm))
    for (const name of readdirSync(join(root, "packages")))
      if (new RegExp(`(^| {2,}|, )${name}(?=$| ->| \\(|:|,)`).test(line!) && !rows.has(name))
        rows.set(name, Number(row));
  return rows;
}

/** The packages of ours that the sources of `name` import, tests left out. */
function importsOf(name: string): Set<string> {
  const folder = join(root, "packages", name, "src");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (file) => /\.ts$/.test(file) && !/\.test\.ts$|\.example\.ts$|__fixtures__|testing/.test(file),
  );
  const found = new Set<string>();
  for (const file of files)
    for (const [, other] of readFileSync(join(folder, file), "utf8").matchAll(
      /^(?:import|export)[^;]*? from "@dmae\/([a-z-]+)|\bimport\("@dmae\/([a-z-]+)/gm,
    ))
      if (other !== undefined) found.add(other);
  return found;
}

it("no package imports one on its own row of docs/architecture.md or below", () => {
  const rows = rowsOfArchitecture();
  const packages = readdirSync(join(root, "packages"));
  expect(packages.filter((name) => !rows.has(name))).toEqual([]);
  const wrong = packages.flatMap((name) =>
    [...importsOf(name)]
      .filter((other) => other !== name && rows.get(other)! >= rows.get(name)!)
      .map((other) => `${name} (row ${rows.get(name)}) -> ${other} (row ${rows.get(other)})`),
  );
  expect(wrong).toEqual([]);
});
