// For tests only: an onnxruntime-node that answers as its CUDA provider would, a provider's files, and CUDA libraries.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { requiredCuda } from "../onnxruntime/cuda-folders.ts";

/** Squares on the CPU; on "cuda" it loads the provider as ONNX Runtime does, and then reports `complaint`, if any. */
const program = (complaint: string) => `
const { join } = require("node:path");
const folder = join(__dirname, "bin/napi-v6", process.platform, process.arch);
exports.Tensor = class { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } };
exports.InferenceSession = { async create(model, { executionProviders: [name] }) {
  if (name === "cuda") {
    try { process.dlopen({ exports: {} }, join(folder, "libonnxruntime_providers_cuda.so")); } catch (error) {
      if (!/self-register/.test(error.message)) throw new Error("Failed to load library " + error.message);
    }
    const complaint = ${JSON.stringify(complaint)};
    if (complaint) throw new Error(complaint);
  }
  return { run: async ({ x }) => ({ y: { data: x.data.map((v) => v * v) } }) };
} };
`;

/** Installs a mock `onnxruntime-node` into a project; returns the folder of its library. */
export function installMockOnnxRuntime(
  project: string,
  version = "1.30.0",
  complaint = "",
): string {
  const folder = join(project, "node_modules/onnxruntime-node");
  const libraries = join(folder, "bin/napi-v6", process.platform, process.arch);
  mkdirSync(libraries, { recursive: true });
  writeFileSync(join(project, "package.json"), "{}");
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name: "onnxruntime-node", version, main: "index.js" }),
  );
  writeFileSync(join(folder, "index.js"), program(complaint));
  return libraries;
}

const compile = (parameters: readonly string[]) =>
  execFileSync("gcc", ["-shared", "-fPIC", "-x", "c", "/dev/null", ...parameters]);

/** Writes CUDA libraries that load into a `site-packages`, all but those named. */
export function buildCudaSite(site: string, lacks: readonly string[] = []): string {
  const folder = join(site, "nvidia/cu13/lib");
  mkdirSync(folder, { recursive: true });
  for (const name of requiredCuda)
    if (!lacks.includes(name)) compile([`-Wl,-soname,${name}`, "-o", join(folder, name)]);
  return folder;
}

/** Writes a provider that needs two of the CUDA libraries, and librt as the real one does. */
export function buildProviders(folder: string, cuda: string): string {
  mkdirSync(folder, { recursive: true });
  const needs = ["libcublas.so.13", "libcudart.so.13"].map((name) => `-l:${name}`);
  compile([
    ...["-o", join(folder, "libonnxruntime_providers_cuda.so"), "-Wl,--no-as-needed"],
    ...[`-L${cuda}`, ...needs, "-l:librt.so.1"],
  ]);
  compile(["-o", join(folder, "libonnxruntime_providers_shared.so")]);
  return folder;
}

/** A `python` that knows one thing: where packages lie. */
export function writePython(site: string): string {
  const python = join(site, "python");
  writeFileSync(python, `#!/bin/sh\necho ${site}\n`, { mode: 0o755 });
  return python;
}
