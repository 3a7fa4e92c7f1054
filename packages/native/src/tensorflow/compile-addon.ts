import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { NativeError } from "../errors.ts";
import { installCompiler } from "../platform.ts";
import { runCommand } from "../run-command.ts";
import { type AddonManifest, type InstalledPackage, manifestSource } from "./addon.ts";
import type { TensorFlow } from "./tensorflow.ts";

/** A C++ compiler: the command, what comes before its parameters, and what it says it is. */
export interface Compiler {
  readonly program: string;
  readonly parameters: readonly string[];
  readonly version: string;
}

const flags = ["-std=c++17", "-O2", "-fPIC", "-DBUILDING_NODE_EXTENSION"];

/** Node-API is stable across releases of Node, so its headers come from the Node project's own package. */
function nodeHeaders(): { folder: string; version: string } {
  const file = createRequire(import.meta.url).resolve("node-api-headers/package.json");
  const { version } = createRequire(import.meta.url)(file) as { version: string };
  return { folder: join(dirname(file), "include"), version };
}

/** The compiler that `CXX` names, else the first of g++, c++, clang++ that answers. */
export async function findCompiler(): Promise<Compiler> {
  const [named, ...parameters] = (process.env.CXX ?? "").split(" ").filter((part) => part !== "");
  const candidates = named === undefined ? ["g++", "c++", "clang++"] : [named];
  for (const program of candidates) {
    const { status, stdout } = await runCommand(program, ["--version"]);
    if (status === 0) return { program, parameters, version: stdout.split("\n")[0] ?? "" };
  }
  throw new NativeError(
    "compiler",
    `link: a C++17 compiler is needed once, found none of ${candidates.join(", ")}`,
    installCompiler(),
  );
}

/** Identifies what is compiled and how: equal recipes give equal addons. */
export async function addonRecipe(installed: InstalledPackage): Promise<string> {
  const hash = createHash("sha256").update(
    [...flags, installed.nodeApi, nodeHeaders().version].join(),
  );
  for (const name of (await readdir(installed.sources)).sort()) {
    hash.update(name).update(await readFile(join(installed.sources, name)));
  }
  return hash.digest("hex");
}

/**
 * Compiles the package's two sources and links them to a TensorFlow by an absolute search path.
 *
 * @param folder where objects and addon are written
 * @returns the addon
 */
export async function compileAddon(
  installed: InstalledPackage,
  tensorflow: TensorFlow,
  manifest: AddonManifest,
  compiler: Compiler,
  folder: string,
): Promise<string> {
  if (tensorflow.folder.includes(":"))
    throw new NativeError(
      "argument",
      `link: the folder of TensorFlow must not have a colon in its path, which ends a search path, got ${tensorflow.folder}`,
      "choose another folder with --cache DIR",
    );
  const manifestFile = join(folder, "manifest.cc");
  await writeFile(manifestFile, manifestSource(manifest));
  const sources = [
    ...["tfjs_backend.cc", "tfjs_binding.cc"].map((name) => join(installed.sources, name)),
    manifestFile,
  ];
  const include = [join(tensorflow.folder, "include"), nodeHeaders().folder].map(
    (path) => `-I${path}`,
  );
  // All have ended before the first error is thrown: the caller then removes the folder they write into.
  const compiled = await Promise.allSettled(
    sources.map(async (source, i) => {
      const object = join(folder, `${i}.o`);
      await compile(compiler, [
        ...[...flags, `-DNAPI_VERSION=${installed.nodeApi}`, ...include],
        ...["-c", source, "-o", object],
      ]);
      return object;
    }),
  );
  const objects = compiled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
  const addon = join(folder, "tfjs_binding.node");
  await compile(compiler, [
    ...["-shared", ...objects, `-L${tensorflow.folder}`],
    ...["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"],
    ...["-Xlinker", "-rpath", "-Xlinker", tensorflow.folder, "-o", addon], // -Wl would cut at commas
  ]);
  return addon;
}

async function compile({ program, parameters }: Compiler, more: readonly string[]): Promise<void> {
  const { status, stderr } = await runCommand(program, [...parameters, ...more]);
  if (status === 0) return;
  const errors = stderr.split("\n").filter((line) => /error|cannot|undefined/i.test(line));
  const shown = (errors.length > 0 ? errors : stderr.split("\n")).slice(0, 5).join("\n  ");
  throw new NativeError(
    "compiler",
    `link: ${program} failed (${more.at(-1)}):\n  ${shown}`,
    "use g++ 9 or newer, or set CXX",
  );
}
