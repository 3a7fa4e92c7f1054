import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { checkOptions } from "../check-options.ts";
import { NativeError } from "../errors.ts";
import { currentPlatform, supportedMachine } from "../platform.ts";
import { defaultCache, fetchRelease, pinnedWheels, unpackRelease } from "../release-cache.ts";
import { unpackTensorFlow } from "../wheel.ts";
import {
  type AddonManifest,
  findPackage,
  type InstalledPackage,
  installAddon,
  readManifest,
} from "./addon.ts";
import { addonRecipe, compileAddon, findCompiler } from "./compile-addon.ts";
import { checkCudaLibraries } from "./cuda-libraries.ts";
import { findTensorFlowOf } from "./find-python.ts";
import { probeAddon } from "./probe.ts";
import { inspectTensorFlow, type TensorFlow } from "./tensorflow.ts";

/** The TensorFlow that `link` fetches when none is named. */
export const defaultTensorFlow = "2.18.1";

/** What {@link linkTensorFlow} links, and to what. */
export interface TensorFlowLinkOptions {
  /** A folder of the program that uses `@tensorflow/tfjs-node`; default the working directory. */
  readonly project?: string | undefined;
  /** The release to fetch: 2.16.2, 2.17.1, 2.18.1, 2.19.1, 2.20.0 or 2.21.0; default 2.18.1. */
  readonly tensorflow?: string | undefined;
  /** Fetch the CUDA build with its libraries (2.4 GB), or insist that what `python` or `wheels` name is one. */
  readonly gpu?: boolean | undefined;
  /** Use the TensorFlow of this Python or virtual environment, where it lies. */
  readonly python?: string | undefined;
  /** Use these wheels: the one of TensorFlow and, for a CUDA build, those of its libraries. */
  readonly wheels?: readonly string[] | undefined;
  /** Where fetched releases are kept; default `~/.cache/dmae/native`. */
  readonly cache?: string | undefined;
  /** Compile even when the addon in place is up to date. */
  readonly force?: boolean | undefined;
  /** Receives a line for each step that takes time. */
  readonly report?: ((line: string) => void) | undefined;
}

/** What {@link linkTensorFlow} did. */
export interface TensorFlowLink {
  /** `unchanged` when the addon in place was made from the same sources for the same TensorFlow and loads. */
  readonly status: "linked" | "unchanged";
  /** The file that `require("@tensorflow/tfjs-node")` opens. */
  readonly addon: string;
  /** The TensorFlow that it loads. */
  readonly tensorflow: TensorFlow;
  /** What will not work as it stands; empty when all is well. */
  readonly warnings: readonly string[];
}

/**
 * Compiles the addon of the installed `@tensorflow/tfjs-node` 4.22.0 against the TensorFlow of a Python wheel and puts it
 * where `require` finds it. Python itself is not needed, neither here nor at run time.
 *
 * Everything is checked before anything changes: platform, package, compiler, the wheel's hash, TensorFlow's libraries,
 * headers and the 55 functions called; the new addon is loaded in a process of its own and put in place by one rename.
 * Files are written in two folders only: the cache, and `lib/napi-v8` of `@tensorflow/tfjs-node`, where an addon that was
 * there before is kept beside ours as `tfjs_binding.node.original`.
 *
 * @throws {@link NativeError} whose `fix` names the command that mends it
 *
 * @example
 * ```ts
 * const { tensorflow } = await linkTensorFlow({ project: "." });
 * console.log(tensorflow.version); // 2.18.1
 * ```
 */
export async function linkTensorFlow(options: TensorFlowLinkOptions = {}): Promise<TensorFlowLink> {
  checkOptions("linkTensorFlow", options, {
    project: true,
    tensorflow: true,
    gpu: true,
    python: true,
    wheels: true,
    cache: true,
    force: true,
    report: true,
  });
  const report = options.report ?? (() => {});
  const machine = supportedMachine("link");
  const installed = findPackage("link", options.project ?? ".");
  const compiler = await findCompiler();
  const tensorflow = await inspectTensorFlow(await obtain(options, machine, report));
  if (options.gpu && tensorflow.build !== "cuda") {
    throw new NativeError(
      "tensorflow",
      `link: gpu needs a CUDA build, ${tensorflow.folder} is a CPU build`,
    );
  }
  const manifest: AddonManifest = {
    tensorflow: tensorflow.version,
    build: tensorflow.build,
    folder: tensorflow.folder,
    recipe: await addonRecipe(installed),
  };
  const warnings = (await checkCudaLibraries(tensorflow))
    .filter(({ problem }) => problem !== undefined)
    .map(({ name, problem }) => `${name} does not load (${problem}): TensorFlow will use the CPU`);
  const current = JSON.stringify(await readManifest(installed.addon)) === JSON.stringify(manifest);
  if (current && !options.force && !("failure" in (await probeAddon(installed.addon)))) {
    return { status: "unchanged", addon: installed.addon, tensorflow, warnings };
  }
  report(`compiling with ${compiler.version}`);
  await withTemporaryFolder(async (folder) => {
    const built = await compileAddon(installed, tensorflow, manifest, compiler, folder);
    await checkLoads(built, tensorflow, installed);
    await installAddon(built, installed);
  });
  return { status: "linked", addon: installed.addon, tensorflow, warnings };
}

/** The folder `tensorflow` of the release that the options name. */
async function obtain(
  options: TensorFlowLinkOptions,
  machine: ReturnType<typeof supportedMachine>,
  report: (line: string) => void,
): Promise<string> {
  const { python, wheels = [], gpu = false } = options;
  const sources = [python !== undefined, wheels.length > 0, options.tensorflow !== undefined];
  if (sources.filter(Boolean).length > 1) {
    throw new NativeError("argument", "link: name at most one of python, wheels and tensorflow");
  }
  const cache = resolve(options.cache ?? defaultCache());
  if (python !== undefined) return findTensorFlowOf(python);
  await mkdir(cache, { recursive: true });
  if (wheels.length > 0) return inSite(await unpackRelease(wheels, cache, report));
  const pinned = pinnedWheels(options.tensorflow ?? defaultTensorFlow, gpu, machine);
  const glibc = currentPlatform().glibc!;
  return inSite(await fetchRelease(pinned, unpackTensorFlow, cache, glibc, report));
}

const inSite = (site: string) => join(site, "tensorflow");

async function checkLoads(
  built: string,
  tensorflow: TensorFlow,
  installed: InstalledPackage,
): Promise<void> {
  const loaded = await probeAddon(built);
  if ("failure" in loaded) {
    throw new NativeError(
      "load",
      `link: the addon was built but does not load (${loaded.failure}); ${installed.addon} is unchanged`,
    );
  }
  if (!loaded.version.startsWith(tensorflow.version)) {
    throw new NativeError(
      "load",
      `link: the addon must load TensorFlow ${tensorflow.version}, got ${loaded.version}`,
      "unset LD_LIBRARY_PATH or LD_PRELOAD",
    );
  }
}

async function withTemporaryFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "dmae-native-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
