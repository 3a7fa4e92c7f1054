// Builds the page into dist/: node build.mjs [--serve] [--out FOLDER]
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const { values } = parseArgs({ options: { serve: { type: "boolean" }, out: { type: "string" } } });
const out = values.out ?? join(here, "dist");
const require = createRequire(import.meta.url);
const folderOf = (module) => dirname(require.resolve(module));

rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: ["element", "worker"].map((name) => join(here, "src", `${name}.ts`)),
  bundle: true,
  splitting: true, // ONNX Runtime's threads load the file that it lies in
  minify: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  outdir: join(out, "app"),
  chunkNames: "[name]-[hash]",
  tsconfigRaw: {}, // the repository's paths lead to the sources
  logLevel: "warning",
});

/** Copies the files of a folder that a pattern names. */
function copy(from, to, pattern) {
  mkdirSync(join(out, to), { recursive: true });
  for (const name of readdirSync(from).filter((name) => pattern.test(name)))
    cpSync(join(from, name), join(out, to, name), { recursive: true });
}
copy(folderOf("onnxruntime-web"), "ort", /^ort-wasm-simd-threaded\.(asyncify\.)?(mjs|wasm)$/);
copy(folderOf("@tensorflow/tfjs-backend-wasm"), "tfjs", /^tfjs-backend-wasm.*\.wasm$/);
const models = join(here, "../packages/models/files");
for (const name of readdirSync(models))
  copy(join(models, name), `files/${name}`, /^classifier\.(onnx|safetensors)$/);
cpSync(join(here, "images/test-images.png"), join(out, "test-images.png"));
cpSync(join(here, "index.html"), join(out, "index.html"));

if (values.serve) {
  const { serve } = await import("./serve.mjs");
  const { address } = await serve(out, { port: Number(process.env.PORT ?? 4173) });
  console.log(`playground: ${address}`);
}
