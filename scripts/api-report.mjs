// Writes docs/api-report.md: every name that a package exports. `--check` fails where the report is out of date, so that a
// change of the public surface is a line of the diff in review.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
const report = new URL("docs/api-report.md", root);
const command = "node scripts/api-report.mjs";

/** Values and types in the export lists of an index file. */
function exportsOf(source) {
  const names = { values: new Set(), types: new Set() };
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

const indexOf = (name) => new URL(`packages/${name}/src/index.ts`, root);
const packages = readdirSync(new URL("packages/", root))
  .filter((name) => existsSync(indexOf(name)))
  .sort()
  .map((name) => ({ name, ...exportsOf(readFileSync(indexOf(name), "utf8")) }));
const total = (kind) => packages.reduce((sum, entry) => sum + entry[kind].length, 0);
const section = ({ name, values, types }) =>
  [
    `## @dmae/${name}`,
    `Values (${values.length}):`,
    values.map((value) => `- ${value}`).join("\n"),
    `Types (${types.length}):`,
    types.map((type) => `- ${type}`).join("\n"),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
const text = `# Public surface

Written by \`${command}\` from the packages' \`src/index.ts\`; \`npm test\` checks it. ${total("values")} values and
${total("types")} types.

${packages.map(section).join("\n\n")}
`;
if (!process.argv.includes("--check")) writeFileSync(report, text);
else if (!existsSync(report) || readFileSync(report, "utf8") !== text) {
  console.error(`${fileURLToPath(report)} is out of date; run: ${command}`);
  process.exit(1);
}
