import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { checkOptions } from "../check-options.ts";
import { NativeError } from "../errors.ts";
import { currentPlatform, supportedMachine } from "../platform.ts";
import { defaultCache, fetchRelease } from "../release-cache.ts";
import { unpackProviders } from "../wheel.ts";
import {
  cudaFoldersOf,
  cudaFoldersOfPython,
  findCudaLibraries,
  providersOfPython,
} from "./cuda-folders.ts";
import { damage, installProvider, readProviderManifest } from "./installed.ts";
import { findOnnxRuntime, type OnnxRuntimePackage, pinnedProviderOf } from "./package.ts";
import type { PinnedProvider } from "./pinned-providers.ts";
import { explainCuda, probeSession } from "./probe.ts";

/** What {@link linkOnnxRuntime} links, and to what. */
export interface OnnxRuntimeLinkOptions {
  /** A folder of the program that uses `onnxruntime-node`; default the working directory. */
  readonly project?: string | undefined;
  /** Must be true: the CPU and WebGPU providers come with the package. */
  readonly gpu?: boolean | undefined;
  /** Use the CUDA 13 libraries of this Python or virtual environment (those of PyTorch, for example), where they lie. */
  readonly python?: string | undefined;
  /**
   * Use the provider in this folder: `libonnxruntime_providers_cuda.so` and `…_shared.so` of the same release. CUDA libraries that lie
   * beside them come first.
   */
  readonly providers?: string | undefined;
  /** Where fetched wheels are kept; default `~/.cache/dmae/native`. */
  readonly cache?: string | undefined;
  /** Link again even when nothing changed. */
  readonly force?: boolean | undefined;
  /** Receives a line for each step that takes time. */
  readonly report?: ((line: string) => void) | undefined;
}

/** What {@link linkOnnxRuntime} did. */
export interface OnnxRuntimeLink {
  /** `unchanged` when the same provider and libraries are in place. */
  readonly status: "linked" | "unchanged";
  /** The folder of onnxruntime-node's library, where the provider now lies. */
  readonly folder: string;
  /** The release of both. */
  readonly version: string;
  /** The folders that the CUDA libraries are used from. */
  readonly cuda: readonly string[];
  /** What will not work as it stands; empty when a session on the card computed. */
  readonly warnings: readonly string[];
}

/**
 * Gives the installed `onnxruntime-node` its CUDA provider: two files of PyPI's `onnxruntime-gpu` wheel of the same release (built for
 * CUDA 13) and links to the CUDA libraries, in the folder of its own library. Nothing else is changed, so the CPU and WebGPU
 * providers work as before, and no `LD_LIBRARY_PATH` is needed.
 *
 * @throws {@link NativeError} whose `fix` names the command that fixes it
 *
 * @example
 * ```ts
 * const { warnings } = await linkOnnxRuntime({ gpu: true });
 * ```
 */
export async function linkOnnxRuntime(
  options: OnnxRuntimeLinkOptions = {},
): Promise<OnnxRuntimeLink> {
  checkOptions("linkOnnxRuntime", options, {
    project: true,
    gpu: true,
    python: true,
    providers: true,
    cache: true,
    force: true,
    report: true,
  });
  if (options.gpu !== true)
    throw new NativeError(
      "argument",
      "link: onnxruntime needs nothing for the CPU and WebGPU, only for CUDA",
      "add --gpu",
    );
  checkMachine();
  const installed = findOnnxRuntime("link", options.project ?? ".");
  const pinned = pinnedProviderOf("link", installed.version);
  const { source, folders } = await obtain(options, pinned);
  const libraries = findCudaLibraries(folders);
  const status = await install(installed, source, libraries, options.force ?? false);
  const cuda = [...new Set([...libraries.values()].map((path) => resolve(path, "..")))];
  const warnings = await checkSessions(installed);
  return { status, folder: installed.libraries, version: installed.version, cuda, warnings };
}

function checkMachine(): void {
  if (supportedMachine("link") === "x64") return;
  throw new NativeError("platform", `link: the CUDA provider is for x64, got ${process.arch}`);
}

/** The folder with the provider's files, and those to look for CUDA libraries in. */
async function obtain(
  options: OnnxRuntimeLinkOptions,
  pinned: PinnedProvider,
): Promise<{ source: string; folders: readonly string[] }> {
  const { python, report = () => {} } = options;
  const given = options.providers && checkProviders(options.providers, pinned.version);
  const own = given ?? (python && (await providersOfPython(python, pinned.version)));
  const needed = [...(own ? [] : [pinned.provider]), ...(python ? [] : pinned.cuda)];
  const cache = resolve(options.cache ?? defaultCache());
  const glibc = currentPlatform().glibc!;
  const site =
    needed.length > 0
      ? await fetchRelease(needed, unpackProviders, cache, glibc, report)
      : undefined;
  return {
    source: own ?? join(site!, "onnxruntime", "capi"),
    folders: [
      ...(given ? [given] : []),
      ...(python ? await cudaFoldersOfPython(python) : cudaFoldersOf(site!)),
    ],
  };
}

function checkProviders(folder: string, version: string): string {
  const names = ["cuda", "shared"].map((name) => `libonnxruntime_providers_${name}.so`);
  const missing = names.find((name) => !existsSync(join(folder, name)));
  if (missing === undefined) return resolve(folder);
  throw new NativeError(
    "argument",
    `link: --providers must name a folder with ${names.join(" and ")} of onnxruntime-gpu ${version}, ${folder} lacks ${missing}`,
  );
}

async function install(
  { libraries: folder, version }: OnnxRuntimePackage,
  source: string,
  libraries: ReadonlyMap<string, string>,
  force: boolean,
): Promise<"linked" | "unchanged"> {
  const known = await readProviderManifest(folder);
  const isSame =
    known?.version === version &&
    known.source === source &&
    JSON.stringify(known.libraries) === JSON.stringify(Object.fromEntries(libraries)) &&
    (await damage(folder, known)) === undefined;
  if (isSame && !force) return "unchanged";
  await installProvider(folder, version, source, libraries);
  return "linked";
}

/** A session on the CPU must compute; one on the card may not, for want of a driver. */
async function checkSessions({ folder }: OnnxRuntimePackage): Promise<string[]> {
  const onCpu = await probeSession(folder, "cpu");
  if ("failure" in onCpu)
    throw new NativeError(
      "load",
      `link: onnxruntime-node no longer computes on the CPU (${onCpu.failure})`,
      "npx @dmae/native unlink onnxruntime",
    );
  const onCard = await probeSession(folder, "cuda");
  if (!("failure" in onCard)) return [];
  const { problem, fix } = explainCuda(`${onCard.details}\n${onCard.failure}`);
  return [`no session on the card yet: ${problem}; ${fix}`];
}
