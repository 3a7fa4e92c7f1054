import { type LoadFailure, probe } from "../probe.ts";
import { supplyUtil } from "./node-util.ts";

/** What an addon says once loaded. */
export interface LoadedAddon {
  /** TensorFlow's own version. */
  readonly version: string;
  /** True when its tensors live on a card. */
  readonly gpu: boolean;
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

/** Loads an addon in a process of its own, where a crash harms nobody. */
export const probeAddon = (addon: string): Promise<LoadedAddon | LoadFailure> =>
  probe<LoadedAddon>(loadAddon, [addon]);

/** Requires the installed package in a process of its own and multiplies two matrices. */
export const probePackage = (
  folder: string,
): Promise<(LoadedAddon & { readonly product: readonly number[] }) | LoadFailure> =>
  probe(usePackage, [folder]);
