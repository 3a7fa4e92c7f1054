import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { findHardware } from "./cards.ts";
import type { Check } from "./check.ts";
import { checkOptions } from "./check-options.ts";
import { commonChecks, diagnose, type Facts, type Found } from "./diagnose.ts";
import { NativeError } from "./errors.ts";
import { diagnoseOnnxRuntime, gatherOnnxRuntime } from "./onnxruntime/diagnose.ts";
import { findOnnxRuntime } from "./onnxruntime/package.ts";
import { currentPlatform, supportedMachine } from "./platform.ts";
import { findPackage, type InstalledPackage, readManifest } from "./tensorflow/addon.ts";
import { addonRecipe, findCompiler } from "./tensorflow/compile-addon.ts";
import { checkCudaLibraries } from "./tensorflow/cuda-libraries.ts";
import type { LegacyUtil } from "./tensorflow/node-util.ts";
import { probePackage } from "./tensorflow/probe.ts";
import { inspectTensorFlow } from "./tensorflow/tensorflow.ts";

/** What {@link doctor} found. */
export interface DoctorReport {
  /** True when no check failed. */
  readonly ok: boolean;
  /** The checks, in the order in which one depends on another. */
  readonly checks: readonly Check[];
  /** What the checks judged. */
  readonly facts: Facts;
}

/**
 * Looks at everything that a native runtime depends on (platform, Node, package, compiler, addon, TensorFlow, provider, CUDA
 * libraries, driver, cards), computes with each runtime that is installed in a process of its own, and names for each thing
 * that does not fit the command that fixes it. Changes nothing.
 *
 * @param options `project`: a folder of the program that uses `@tensorflow/tfjs-node` or `onnxruntime-node`; default the working
 * directory
 */
export async function doctor(options: { readonly project?: string } = {}): Promise<DoctorReport> {
  checkOptions("doctor", options, { project: true });
  const facts = await gather(options.project ?? ".");
  const checks = [
    ...(facts.onnxruntime && "problem" in facts.installed ? commonChecks(facts) : diagnose(facts)),
    ...(facts.onnxruntime ? diagnoseOnnxRuntime(facts.onnxruntime, facts.hardware) : []),
  ];
  return { ok: checks.every(({ status }) => status !== "failure"), checks, facts };
}

async function gather(project: string): Promise<Facts> {
  const installed = await attempt(() => findPackage("doctor", project));
  const own = await linked("value" in installed ? installed.value : undefined);
  const platform = currentPlatform();
  const onnxruntime = await attempt(() => findOnnxRuntime("doctor", project));
  return {
    ...("value" in onnxruntime && { onnxruntime: await gatherOnnxRuntime(onnxruntime.value) }),
    platform: await attempt(() => {
      supportedMachine("doctor", platform);
      return `Linux on ${platform.machine}, glibc ${platform.glibc}`;
    }),
    node: { version: process.versions.node, hasLegacyUtil: hasLegacyUtil() },
    installed,
    compiler: await attempt(async () => (await findCompiler()).version),
    hardware: await findHardware(),
    ...own,
  };
}

/** What depends on an installed package and its addon. */
async function linked(
  installed: InstalledPackage | undefined,
): Promise<Pick<Facts, "addon" | "current" | "tensorflow" | "loaded" | "libraries">> {
  if (installed === undefined || !existsSync(installed.addon)) {
    return { addon: "none", current: false, libraries: [] };
  }
  const loaded = await probePackage(installed.folder);
  const manifest = await readManifest(installed.addon);
  if (manifest === undefined) return { addon: "foreign", current: false, loaded, libraries: [] };
  const tensorflow = await attempt(() => inspectTensorFlow(manifest.folder));
  return {
    addon: manifest,
    current: manifest.recipe === (await addonRecipe(installed)),
    tensorflow,
    loaded,
    libraries: "value" in tensorflow ? await checkCudaLibraries(tensorflow.value) : [],
  };
}

/** `register` may have supplied them here, so a bare Node is asked by its version: 23 took them away. */
function hasLegacyUtil(): boolean {
  const util = createRequire(import.meta.url)("node:util") as LegacyUtil;
  return Number(process.versions.node.split(".")[0]) < 23 && util.isNullOrUndefined !== undefined;
}

async function attempt<Value>(get: () => Value | Promise<Value>): Promise<Found<Value>> {
  try {
    return { value: await get() };
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    const problem =
      error.fix === undefined ? error.message : error.message.slice(0, -error.fix.length - 2);
    return {
      problem: problem.replace(/^\w+: /, ""),
      ...(error.fix !== undefined && { fix: error.fix }),
    };
  }
}
