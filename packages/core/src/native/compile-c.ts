import { DmaeError } from "../errors.ts";
import { builtin } from "./node.ts";
import { runProgram, words } from "./run-program.ts";

/** Milliseconds that a compiler may take. */
const COMPILING = 120_000;

/** What {@link compileC} compiles, and how. */
export interface CSource {
  /** The function or area whose name errors carry. */
  readonly caller: string;
  /** A compiler, or words as in a shell: `ccache gcc`. */
  readonly command: string;
  /** Arguments in front of the source file. */
  readonly args: readonly string[];
  /** Arguments behind it: libraries. */
  readonly libraries?: readonly string[];
  /** The C file. */
  readonly source: string;
  /** What errors advise. */
  readonly fix: string;
}

/**
 * The bytes of the shared library that a C file compiles to, made in a temporary folder.
 *
 * @throws DmaeError "unsupported" with what the compiler printed
 */
export async function compileC(what: CSource): Promise<Uint8Array> {
  const fs = builtin<typeof import("node:fs")>("node:fs")!.promises;
  const { join } = builtin<typeof import("node:path")>("node:path")!;
  const { tmpdir } = builtin<typeof import("node:os")>("node:os")!;
  const { caller, command, args, libraries = [], source, fix } = what;
  const folder = await fs.mkdtemp(join(tmpdir(), "dmae-kernels-"));
  const [input, output] = [join(folder, `${caller}.c`), join(folder, `${caller}.node`)];
  try {
    await fs.writeFile(input, source);
    await runProgram(words(command), [...args, "-o", output, input, ...libraries], COMPILING);
    return await fs.readFile(output);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DmaeError(
      "unsupported",
      `${caller}: ${command} could not compile it: ${reason}; ${fix}`,
      { command },
      { cause: error },
    );
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}
