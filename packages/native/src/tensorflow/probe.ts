import { runCommand } from "../run-command.ts";
import { supplyUtil } from "./node-util.ts";

/** What an addon says once loaded. */
export interface LoadedAddon {
  /** TensorFlow's own version. */
  readonly version: string;
  /** True when its tensors live on a card. */
  readonly gpu: boolean;
}

/** Why something did not load: what the child process left behind. */
export interface LoadFailure {
  readonly failure: string;
}

const loadAddon = `
const module_ = { exports: {} };
process.dlopen(module_, process.argv[1]);
const { TF_Version: version, isUsingGpuDevice } = module_.exports;
console.log("probe:" + JSON.stringify({ version, gpu: isUsingGpuDevice() }));
`;

const usePackage = `
const util = require("node:util");
(${supplyUtil.toString()})(util);
const tf = require(process.argv[1]);
const backend = tf.backend();
const [a, b] = [tf.tensor2d([[1, 2], [3, 4]]), tf.tensor2d([[5, 6], [7, 8]])];
const product = Array.from(tf.matMul(a, b).dataSync());
console.log("probe:" + JSON.stringify({ version: backend.binding.TF_Version, gpu: backend.isUsingGpuDevice, product }));
`;

/** A library that is no addon loads and is then refused: what counts is which of the two errors comes. */
const loadLibraries = `
const results = {};
for (const path of process.argv.slice(1)) {
  try { process.dlopen({ exports: {} }, path); } catch (error) {
    results[path] = /self-register|register itself|napi_register/.test(error.message) ? "" : error.message;
  }
}
console.log("probe:" + JSON.stringify(results));
`;

/** Loads an addon in a process of its own, where a crash harms nobody. */
export const probeAddon = (addon: string): Promise<LoadedAddon | LoadFailure> =>
  probe<LoadedAddon>(loadAddon, [addon]);

/** Requires the installed package in a process of its own and multiplies two matrices. */
export const probePackage = (
  folder: string,
): Promise<(LoadedAddon & { readonly product: readonly number[] }) | LoadFailure> =>
  probe(usePackage, [folder]);

/** Opens shared libraries in a process of its own; for each the loader's complaint, or "". */
export const probeLibraries = (
  paths: readonly string[],
): Promise<Record<string, string> | LoadFailure> => probe(loadLibraries, paths);

async function probe<Result>(
  script: string,
  parameters: readonly string[],
): Promise<Result | LoadFailure> {
  const env = { TF_CPP_MIN_LOG_LEVEL: "1", ...process.env, NODE_OPTIONS: "" };
  const { status, signal, stdout, stderr } = await runCommand(
    process.execPath,
    ["--no-deprecation", "-e", script, "--", ...parameters],
    { env, timeout: 300_000 },
  );
  const answer = /^probe:(.*)$/m.exec(stdout)?.[1];
  if (status === 0 && answer !== undefined) return JSON.parse(answer) as Result;
  const complaint = /^(?:\w*Error: )(.*)$/m.exec(stderr)?.[1] ?? stderr.trim().split("\n").at(-1);
  return {
    failure:
      signal === undefined
        ? complaint || `exit status ${status}`
        : `ended by ${signal}: ${complaint}`,
  };
}
