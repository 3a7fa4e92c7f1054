import { askPython, interpreterOf, userPackages } from "../ask-python.ts";
import { NativeError } from "../errors.ts";

const locate = `${userPackages}
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
  const folder = await askPython(python, locate);
  if (folder !== "") return folder;
  const interpreter = interpreterOf(python);
  throw new NativeError(
    "tensorflow",
    `link: ${interpreter} has no TensorFlow`,
    `run ${interpreter} -m pip install tensorflow-cpu==2.18.1 (or 'tensorflow[and-cuda]==2.18.1')`,
  );
}
