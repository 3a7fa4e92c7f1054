import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { NativeError } from "../errors.ts";
import { runCommand } from "../run-command.ts";

/** Isolated by `-I` from files of the working directory; only the user's own packages are added again. */
const locate = `
import site, sys
if sys.prefix == sys.base_prefix and site.ENABLE_USER_SITE is False: sys.path.append(site.getusersitepackages())
import importlib.util
found = importlib.util.find_spec("tensorflow")
print(found.submodule_search_locations[0] if found and found.submodule_search_locations else "")
`;

/**
 * The TensorFlow folder of a Python installation, found without importing TensorFlow.
 *
 * @param python an interpreter, or the folder of a virtual environment
 */
export async function findTensorFlowOf(python: string): Promise<string> {
  const isFolder = existsSync(python) && statSync(python).isDirectory();
  const interpreter = isFolder ? join(python, "bin", "python") : python;
  const { status, stdout, stderr } = await runCommand(interpreter, ["-I", "-c", locate]);
  if (status !== 0) {
    throw new NativeError(
      "argument",
      `link: --python must name a Python 3 or a virtual environment, got ${python} (${stderr.trim().split("\n").at(-1)})`,
    );
  }
  const folder = stdout.trim();
  if (folder === "") {
    throw new NativeError(
      "tensorflow",
      `link: ${interpreter} has no TensorFlow`,
      `run ${interpreter} -m pip install tensorflow-cpu==2.18.1 (or 'tensorflow[and-cuda]==2.18.1')`,
    );
  }
  return folder;
}
