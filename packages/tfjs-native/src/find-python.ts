import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { TfjsNativeError } from "./errors.ts";
import { runCommand } from "./run-command.ts";

const locate =
  "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '')";

/**
 * The TensorFlow folder of a Python installation, found without importing TensorFlow.
 *
 * @param python an interpreter, or the folder of a virtual environment
 */
export async function findTensorFlowOf(python: string): Promise<string> {
  const isFolder = existsSync(python) && statSync(python).isDirectory();
  const interpreter = isFolder ? join(python, "bin", "python") : python;
  const { status, stdout, stderr } = await runCommand(interpreter, ["-c", locate]);
  if (status !== 0) {
    throw new TfjsNativeError(
      "argument",
      `link: --python must name a Python 3 or a virtual environment, got ${python} (${stderr.trim().split("\n").at(-1)})`,
    );
  }
  const folder = stdout.trim();
  if (folder === "") {
    throw new TfjsNativeError(
      "tensorflow",
      `link: ${interpreter} has no TensorFlow`,
      `run ${interpreter} -m pip install tensorflow-cpu==2.18.1 (or 'tensorflow[and-cuda]==2.18.1')`,
    );
  }
  return folder;
}
