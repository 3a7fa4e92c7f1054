import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { NativeError } from "./errors.ts";
import { runCommand } from "./run-command.ts";

/** The user's own packages, which `-I` leaves out; a script that {@link askPython} runs may begin with it. */
export const userPackages = `
import site, sys
if sys.prefix == sys.base_prefix and site.ENABLE_USER_SITE is False: sys.path.append(site.getusersitepackages())
`;

/**
 * What a Python prints for a script, isolated by `-I` from files of the working directory.
 *
 * @param python an interpreter, or the folder of a virtual environment
 */
export async function askPython(python: string, script: string): Promise<string> {
  const { status, stdout, stderr } = await runCommand(interpreterOf(python), ["-I", "-c", script]);
  if (status === 0) return stdout.trim();
  throw new NativeError(
    "argument",
    `link: --python must name a Python 3 or a virtual environment, got ${python} (${stderr.trim().split("\n").at(-1)})`,
  );
}

/** The interpreter that `--python` names. */
export function interpreterOf(python: string): string {
  const isFolder = existsSync(python) && statSync(python).isDirectory();
  return isFolder ? join(python, "bin", "python") : python;
}
