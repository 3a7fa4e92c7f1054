// Assembles each WebAssembly text file and writes it as base64 into a module beside it (x.wat -> x.wasm.ts). With --check nothing
// is written; a module that is not its source's is an error.
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import wabt from "wabt";

const sources = ["packages/core/src/wasm/draws.wat", "packages/datasets/src/resize.wat"];
const { parseWat } = await wabt();

for (const source of sources) {
  const path = fileURLToPath(new URL(`../${source}`, import.meta.url));
  const assembled = parseWat(source, readFileSync(path, "utf8"), { simd: true });
  assembled.validate();
  const code = Buffer.from(assembled.toBinary({}).buffer).toString("base64");
  const module = `// Written by \`npm run build:wasm\` from ${basename(source)}.

/** The bytes of the module, in base64. */
export const code =
  "${code}";
`;
  const target = path.replace(/\.wat$/, ".wasm.ts");
  if (!process.argv.includes("--check")) writeFileSync(target, module);
  else if (readFileSync(target, "utf8") !== module)
    throw new Error(`${source} has changed: run npm run build:wasm`);
}
