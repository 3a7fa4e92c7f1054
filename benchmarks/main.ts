// npm run bench [name …]: runs benchmarks/<name>.ts (all by default) and prints what each reports.
// A benchmark exports one function named <name>Benchmark; it prints Markdown and asserts nothing.
import { readdirSync } from "node:fs";
import { arch, cpus, totalmem } from "node:os";
import process from "node:process";

const here = new URL(".", import.meta.url);
const all = readdirSync(here)
  .filter((file) => file.endsWith(".ts") && file !== "main.ts" && !file.startsWith("_"))
  .map((file) => file.slice(0, -3));
const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`bench: no benchmark ${unknown.join(", ")}; there are ${all.join(", ")}`);
  process.exit(2);
}

const { model = "unknown processor" } = cpus()[0] ?? {};
const memory = Math.round(totalmem() / 2 ** 30);
console.log(`${model}, ${cpus().length} cores, ${memory} GiB, ${arch()}, Node ${process.version}`);
for (const name of chosen.length > 0 ? chosen : all) {
  console.log(`\n## ${name}\n`);
  const module = await import(new URL(`${name}.ts`, here).href);
  await module[`${name}Benchmark`]();
}
process.exit(0); // native backends keep threads alive
