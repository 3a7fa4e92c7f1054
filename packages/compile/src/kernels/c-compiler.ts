import { DmaeError } from "@dmae/core";
import { builtin, nodeProcess } from "../runtime/node.ts";

const node = {
  crypto: () => builtin<typeof import("node:crypto")>("node:crypto")!,
  fs: () => builtin<typeof import("node:fs")>("node:fs")!,
  path: () => builtin<typeof import("node:path")>("node:path")!,
};

/** Settings of GCC and Clang: vector code for this CPU, the arithmetic of float32 as written. */
const FLAGS = [
  "-O3",
  "-shared",
  "-fPIC",
  "-fvisibility=hidden",
  "-fopenmp-simd",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-ffp-contract=fast",
  "-w",
];

/** A C compiler of this machine. */
export interface CCompiler {
  /** Compiles `source` unless that was done before; returns the path of the library. */
  build(name: string, source: string): Promise<string>;
}

let found: Promise<CCompiler | null> | undefined;

/** The C compiler that `CC` names, else `cc`; null where there is none (or no Linux). Looked for once. */
export function findCCompiler(): Promise<CCompiler | null> {
  found ??= cCompiler(nodeProcess?.env?.CC || "cc");
  return found;
}

/** The compiler that a command starts; null where it does not. */
export async function cCompiler(command: string): Promise<CCompiler | null> {
  if (nodeProcess?.platform !== "linux" || !nodeProcess.getBuiltinModule) return null;
  try {
    const version = await execute(command, ["--version"]);
    return { build: (name, source) => build(command, version, name, source) };
  } catch {
    return null;
  }
}

function execute(command: string, args: readonly string[]): Promise<string> {
  const { execFile } = builtin<typeof import("node:child_process")>("node:child_process")!;
  const [program, ...first] = command.split(" ");
  return new Promise((resolve, reject) => {
    execFile(program!, [...first, ...args], { timeout: 120_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr || error.message, { cause: error }));
      else resolve(stdout);
    });
  });
}

/** Where compiled libraries are kept: `DMAE_CACHE`, else `dmae` in the user's cache folder. */
function cacheFolder(): string {
  const { join } = node.path();
  const { homedir } = builtin<typeof import("node:os")>("node:os")!;
  const { DMAE_CACHE, XDG_CACHE_HOME } = nodeProcess?.env ?? {};
  return DMAE_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "dmae");
}

/** The folder of session.c and kernels.h: beside `src` and beside `dist`. */
function nativeFolder(): string {
  const { fileURLToPath } = builtin<typeof import("node:url")>("node:url")!;
  const { existsSync } = node.fs();
  const folders = ["../native/", "../../native/"].map((path) =>
    fileURLToPath(new URL(/* @vite-ignore */ path, import.meta.url)),
  );
  return folders.find((folder) => existsSync(folder)) ?? folders[0]!;
}

/** Libraries that are being built, so that two callers do not build the same one at once. */
const libraries = new Map<string, Promise<string>>();

async function build(
  command: string,
  version: string,
  name: string,
  source: string,
): Promise<string> {
  const fs = node.fs().promises;
  const { join } = node.path();
  const { createHash } = node.crypto();
  const native = nativeFolder();
  const { arch } = nodeProcess!;
  const headers = ["kernels.h", "product.h", "attention.h", "onnxruntime.h", "node-api.h"];
  const texts = await Promise.all(headers.map((file) => fs.readFile(join(native, file), "utf8")));
  const machine =
    arch === "x64" ? ["-march=native", "-mprefer-vector-width=512"] : ["-mcpu=native"];
  const identity = [command, version, await processor(), ...machine, ...FLAGS, ...texts, source];
  const hash = createHash("sha256").update(identity.join("\n")).digest("hex").slice(0, 24);
  const library = join(cacheFolder(), `${name}-${hash}.node`);
  const known = libraries.get(library);
  if (known) return known;
  const made = compileTo(library, command, [...FLAGS, ...machine, `-I${native}`], source);
  libraries.set(library, made);
  return made.finally(() => libraries.delete(library));
}

/** What this processor can do: code for one is wrong for another, also under the same name. */
async function processor(): Promise<string> {
  const { readFile } = node.fs().promises;
  const text = await readFile("/proc/cpuinfo", "utf8");
  return text.split("\n\n")[0]!.replace(/^(cpu MHz|bogomips|BogoMIPS).*$/gm, "");
}

async function compileTo(
  library: string,
  command: string,
  args: readonly string[],
  source: string,
): Promise<string> {
  const fs = node.fs().promises;
  const { dirname } = node.path();
  const { randomUUID } = node.crypto();
  const isThere = await fs.access(library).then(
    () => true,
    () => false,
  );
  if (isThere) {
    const now = new Date();
    await fs.utimes(library, now, now).catch(() => {}); // another user's folder
    return library;
  }
  await fs.mkdir(dirname(library), { recursive: true, mode: 0o700 });
  // Written under another name first: two processes may build the same library at once.
  const own = `${library}-${randomUUID()}`;
  try {
    await fs.writeFile(`${own}.c`, source);
    await execute(command, [...args, "-o", own, `${own}.c`, "-lm", "-ldl"]);
    await fs.rename(own, library);
    await forgetOld(dirname(library));
    return library;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DmaeError(
      "unsupported",
      `kernels: ${command} could not compile them: ${reason}; pass kernels: "standard" to do without`,
      { command, source: `${own}.c` },
      { cause: error },
    );
  } finally {
    await fs.rm(own, { force: true });
    await fs.rm(`${own}.c`, { force: true });
  }
}

/** Removes libraries that nobody has used for so long, and what a compiler that was killed left behind. */
const FORGET_AFTER = 60 * 24 * 3600 * 1000;

async function forgetOld(folder: string): Promise<void> {
  const fs = node.fs().promises;
  const { join } = node.path();
  const ours = (await fs.readdir(folder)).filter((file) =>
    /^(kernels|session)-.*\.node/.test(file),
  );
  for (const file of ours) {
    const path = join(folder, file);
    const modified = await fs.stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Number.POSITIVE_INFINITY, // removed meanwhile
    );
    if (Date.now() - modified > FORGET_AFTER) await fs.rm(path, { force: true }).catch(() => {});
  }
}

/** The addon whose sessions take operators of our own. */
export async function sessionSource(): Promise<string> {
  const { readFile } = node.fs().promises;
  const { join } = node.path();
  return readFile(join(nativeFolder(), "session.c"), "utf8");
}
