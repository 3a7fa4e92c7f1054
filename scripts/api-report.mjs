// Writes docs/api-report.md: every name that a package exports. `--check` fails if the report is out of date, so that a
// change of the public surface is a line of the diff in review.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
const report = new URL("docs/api-report.md", root);
const command = "node scripts/api-report.mjs";

/** Values and types that an entry file exports by name, those of `export * from` files included. */
function exportsOf(file) {
  const source = readFileSync(file, "utf8");
  const names = { values: new Set(), types: new Set() };
  for (const [, other] of source.matchAll(/^export \* from "(.*)";$/gm)) {
    const { values, types } = exportsOf(new URL(other, file));
    for (const value of values) names.values.add(value);
    for (const type of types) names.types.add(type);
  }
  for (const [, onlyTypes, list] of source.matchAll(/export (type )?\{([^}]*)\}/g))
    for (const item of list.split(",").map((part) => part.trim()))
      if (item !== "") {
        const isType = onlyTypes !== undefined || item.startsWith("type ");
        const name = item.replace(/^type /, "").replace(/^.* as /, "");
        names[isType ? "types" : "values"].add(name);
      }
  for (const [, kind, name] of source.matchAll(
    /^export (?:declare )?(?:async )?(const|function|class|interface|type) (\w+)/gm,
  ))
    names[kind === "interface" || kind === "type" ? "types" : "values"].add(name);
  const sorted = (set) => [...set].sort();
  return { values: sorted(names.values), types: sorted(names.types) };
}

/** The entries of a package: its main one, then the subpaths, each with its file of sources. */
function entriesOf(name) {
  const folder = new URL(`packages/${name}/`, root);
  const manifest = JSON.parse(readFileSync(new URL("package.json", folder), "utf8"));
  return Object.keys(manifest.exports)
    .sort()
    .map((path) => ({
      name: `@dmae/${name}${path.slice(1)}`,
      file: new URL(path === "." ? "src/index.ts" : `src/${path.slice(2)}.ts`, folder),
    }))
    .filter(({ file }) => existsSync(file))
    .map(({ name, file }) => ({ name, ...exportsOf(file) }));
}

const packages = readdirSync(new URL("packages/", root))
  .filter((name) => existsSync(new URL(`packages/${name}/src/index.ts`, root)))
  .sort()
  .map(entriesOf);
const main = packages.map(([entry]) => entry);
const subpaths = packages.flatMap(([, ...parts]) => parts);

const total = (entries, kind) => entries.reduce((sum, entry) => sum + entry[kind].length, 0);
const list = (kind, names) =>
  names.length === 0
    ? []
    : [`${kind} (${names.length}):`, names.map((each) => `- ${each}`).join("\n")];
const section = ({ name, values, types }) =>
  [`### ${name}`, ...list("Values", values), ...list("Types", types)].join("\n\n");
const text = `# Public surface

Written by \`${command}\` from the packages' sources; \`npm test\` checks it.
The main entries export ${total(main, "values")} values and ${total(main, "types")} types, the subpaths ${total(subpaths, "values")} values and ${total(subpaths, "types")} types.

## Main entries

${main.map(section).join("\n\n")}

## Subpaths

Parts that fewer programs need, not counted as the main surface.

${subpaths.map(section).join("\n\n")}
`;
if (!process.argv.includes("--check")) writeFileSync(report, text);
else if (!existsSync(report) || readFileSync(report, "utf8") !== text) {
  console.error(`${fileURLToPath(report)} is out of date; run: ${command}`);
  process.exit(1);
}
