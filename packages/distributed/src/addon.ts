import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DmaeError } from "@dmae/core";
import { compileC, keepLibrary, runProgram, words } from "@dmae/core/native";

/** What MPI says about this process. */
export interface Facts {
  readonly rank: number;
  readonly size: number;
  /** Rank among the processes of this machine. */
  readonly localRank: number;
  /** Processes of this job on this machine. */
  readonly localSize: number;
  /** Level of thread support, 0 to 3 (MPI_THREAD_MULTIPLE). */
  readonly threads: number;
  /** The library and its version. */
  readonly library: string;
  /** This machine. */
  readonly host: string;
}

/** What `mpi.c` exports. */
export interface Addon {
  init(): Promise<Facts>;
  collective(kind: number, data: unknown, argument: number): Promise<void>;
  abort(code: number): never;
  finalize(): void;
}

const FLAGS = ["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-w"];

/** Milliseconds that `mpicc` may take to answer. */
const ANSWERING = 20_000;

/** The MPI compiler: `MPICC`, else `mpicc`. */
export const mpiCompiler = (): string => process.env.MPICC || "mpicc";

/** The folder of mpi.c: beside `src` and beside `dist`. */
const native = ["../native/", "../../native/"]
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((folder) => existsSync(folder))!;

/**
 * Compiles `mpi.c` unless that was done before, and returns the path of the library.
 *
 * @throws DmaeError "unsupported" if the MPI compiler is missing or fails
 */
export async function buildAddon(): Promise<string> {
  const command = mpiCompiler();
  const file = join(native, "mpi.c");
  const ask = (...args: string[]) => runProgram(words(command), args, ANSWERING);
  // the preprocessed text holds mpi.h: another MPI, or another version of it, is another library
  const identity = await Promise.all([ask("-show"), ask("-E", "-P", `-I${native}`, file)]).catch(
    (error) => noCompiler(command, error),
  );
  const hash = createHash("sha256")
    .update([command, process.arch, ...FLAGS, ...identity].join("\n"))
    .digest("hex")
    .slice(0, 24);
  return keepLibrary(`mpi-${hash}.node`, async () =>
    compileC({
      caller: "world",
      command,
      args: [...FLAGS, `-I${native}`],
      source: await readFile(file, "utf8"),
      fix: "install the development files of your MPI (Debian: libopenmpi-dev or libmpich-dev)",
    }),
  );
}

/** Throws an error that says how to install the missing MPI compiler. */
export function noCompiler(command: string, cause: Error): never {
  const reason = cause.message.split("\n", 1)[0];
  throw new DmaeError(
    "unsupported",
    `world: needs the compiler of MPI, but ${command} does not answer (${reason}); ` +
      "install one (Debian: apt-get install libopenmpi-dev openmpi-bin), or set MPICC to its path",
    { command },
    { cause },
  );
}

/**
 * Loads a compiled `mpi.c`.
 *
 * @throws DmaeError "unsupported" where the libraries of MPI are not those it was compiled with
 */
export function loadAddon(path: string): Addon {
  const module = { exports: {} as Addon };
  const { RTLD_NOW, RTLD_GLOBAL } = constants.dlopen; // plug-ins of Open MPI look for its symbols
  try {
    process.dlopen(module, path, RTLD_NOW | RTLD_GLOBAL);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new DmaeError(
      "unsupported",
      `world: the library of MPI cannot be loaded (${reason}); install it beside ${mpiCompiler()}, or add its folder to LD_LIBRARY_PATH`,
      { path },
      { cause },
    );
  }
  return module.exports;
}
