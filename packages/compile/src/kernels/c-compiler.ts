import {
  builtin,
  compileC,
  keepLibrary,
  nodeProcess,
  reportOnce,
  runProgram,
  words,
} from "@dmae/core/native";

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

/** Milliseconds that a compiler may take to say its version. */
const ANSWERING = 10_000;

/** A C compiler of this machine. */
export interface CCompiler {
  /** Compiles `source` unless that was done before; returns the path of the library. */
  build(name: string, source: string): Promise<string>;
}

let found: Promise<CCompiler | null> | undefined;

/** The C compiler that `CC` names, else `cc`; null where there is none (or no Linux). Looked for once. */
export function findCCompiler(): Promise<CCompiler | null> {
  const named = nodeProcess?.env?.CC;
  found ??= cCompiler(named || "cc", named ? reportOnce : () => {});
  return found;
}

/**
 * The compiler that a command starts; null where it does not.
 *
 * @param command a program, or words as in a shell: `ccache gcc`, `"/opt/my tools/gcc" -m64`
 * @param report told why there is none
 * @param patience milliseconds to wait for an answer
 */
export async function cCompiler(
  command: string,
  report: (line: string) => void = () => {},
  patience = ANSWERING,
): Promise<CCompiler | null> {
  if (nodeProcess?.platform !== "linux" || !nodeProcess.getBuiltinModule) return null;
  try {
    const version = await runProgram(words(command), ["--version"], patience);
    return { build: (name, source) => build(command, version, name, source) };
  } catch (error) {
    const reason = (error as Error).message.split("\n", 1)[0];
    report(`kernels: the compiler ${command} does not answer (${reason}); working without it`);
    return null;
  }
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
  const headers = (await fs.readdir(native)).filter((file) => file.endsWith(".h")).sort();
  const texts = await Promise.all(headers.map((file) => fs.readFile(join(native, file), "utf8")));
  const machine =
    arch === "x64" ? ["-march=native", "-mprefer-vector-width=512"] : ["-mcpu=native"];
  const identity = [command, version, await processor(), ...machine, ...FLAGS, ...texts, source];
  const hash = createHash("sha256").update(identity.join("\n")).digest("hex").slice(0, 24);
  const file = `${name}-${hash}.node`;
  const known = libraries.get(file);
  if (known) return known;
  const args = [...FLAGS, ...machine, `-I${native}`];
  const made = keepLibrary(file, () =>
    compileC({
      caller: "kernels",
      command,
      args,
      libraries: ["-lm", "-ldl", "-lpthread"],
      source,
      fix: 'pass kernels: "standard" to do without',
    }),
  );
  libraries.set(file, made);
  return made.finally(() => libraries.delete(file));
}

/** What this processor can do: code for one is wrong for another, also under the same name. */
async function processor(): Promise<string> {
  const { readFile } = node.fs().promises;
  const text = await readFile("/proc/cpuinfo", "utf8");
  return text.split("\n\n")[0]!.replace(/^(cpu MHz|bogomips|BogoMIPS).*$/gm, "");
}

/** The text of a file of `native`: session.c, for example. */
export async function nativeSource(file: string): Promise<string> {
  const { readFile } = node.fs().promises;
  const { join } = node.path();
  return readFile(join(nativeFolder(), file), "utf8");
}
