import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { readSharedLibrary, type SharedLibrary } from "../elf.ts";
import { NativeError } from "../errors.ts";
import { requiredSymbols } from "./symbols.ts";

/** What a CUDA build of TensorFlow was compiled with, as its wheel records it. */
export interface CudaBuild {
  /** The CUDA toolkit: `12.5.1`. */
  readonly cuda: string;
  /** The major release of cuDNN: `9`. */
  readonly cudnn: string;
  /** `sm_80` is machine code for compute capability 8.0; `compute_90` is code that the driver compiles at first use. */
  readonly computeCapabilities: readonly string[];
}

/** A TensorFlow that an addon can be linked to. */
export interface TensorFlow {
  /** The folder `tensorflow` of a `site-packages`. */
  readonly folder: string;
  /** The release: `2.18.1`. */
  readonly version: string;
  /** `cuda` for a build that drives NVIDIA cards. */
  readonly build: "cpu" | "cuda";
  /** Of a CUDA build: what it was compiled with. */
  readonly cuda?: CudaBuild;
  /** The folders of CUDA libraries that it looks into, by name (`cudnn`): the first that exists, else undefined. */
  readonly cudaFolders: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads what a TensorFlow folder holds and checks that the addon can be linked to it: both libraries, the processor,
 * the headers of the C API and each of the functions called.
 */
export async function inspectTensorFlow(folder: string): Promise<TensorFlow> {
  const [main, framework] = await Promise.all(
    ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"].map((name) =>
      readLibrary(join(folder, name)),
    ),
  );
  const missing = requiredSymbols.filter(
    (name) => !main!.defines.has(name) && !framework!.defines.has(name),
  );
  if (missing.length > 0) {
    throw new NativeError(
      "tensorflow",
      `link: TensorFlow must export ${requiredSymbols.length} functions of its C API, ${folder} lacks ${missing.join(", ")}`,
      "choose TensorFlow 2.16 to 2.21",
    );
  }
  const version = await readVersion(folder);
  const build = await readBuild(folder);
  return {
    folder,
    version,
    build: build === undefined ? "cpu" : "cuda",
    ...(build && { cuda: build }),
    cudaFolders:
      build === undefined ? {} : cudaFolders(folder, [...main!.runpath, ...framework!.runpath]),
  };
}

async function readLibrary(path: string): Promise<SharedLibrary> {
  const library = existsSync(path) ? await readSharedLibrary(path, "TF") : undefined;
  if (library === undefined) {
    throw new NativeError(
      "tensorflow",
      `link: expected a TensorFlow of a Linux wheel (2.16 to 2.21), ${path} is ${existsSync(path) ? "no 64-bit ELF library" : "missing"}`,
    );
  }
  if (library.machine !== process.arch) {
    throw new NativeError(
      "tensorflow",
      `link: ${path} must be built for ${process.arch}, got ${library.machine}`,
    );
  }
  return library;
}

/** From the name of pip's record beside it; the headers have not held the numbers since 2.20. */
async function readVersion(folder: string): Promise<string> {
  const beside = await readdir(dirname(folder));
  for (const name of beside) {
    const version = /^(?:tensorflow(?:_cpu)?|tf_nightly(?:_cpu)?)-(.+)\.dist-info$/.exec(name)?.[1];
    if (version !== undefined) return version;
  }
  throw new NativeError(
    "tensorflow",
    `link: ${dirname(folder)} must hold the record of an installed wheel (tensorflow-….dist-info), found none`,
    "install TensorFlow with pip",
  );
}

/** The wheel's own record is a Python literal; three of its entries are read. */
async function readBuild(folder: string): Promise<CudaBuild | undefined> {
  const record = await readFile(join(folder, "python/platform/build_info.py"), "utf8").catch(
    () => "",
  );
  if (!/'is_cuda_build', True/.test(record)) return undefined;
  const value = (name: string) => new RegExp(`'${name}', '([^']*)'`).exec(record)?.[1] ?? "unknown";
  const capabilities = /'cuda_compute_capabilities', \[([^\]]*)\]/.exec(record)?.[1] ?? "";
  return {
    cuda: value("cuda_version"),
    cudnn: value("cudnn_version"),
    computeCapabilities: [...capabilities.matchAll(/'([^']+)'/g)].map(([, name]) => name!),
  };
}

/** The loader's rule, applied by hand: `$ORIGIN` is the library's folder, and the first folder that exists serves. */
function cudaFolders(
  folder: string,
  runpath: readonly string[],
): Record<string, string | undefined> {
  const found: Record<string, string | undefined> = {};
  for (const entry of runpath) {
    const name = /\/nvidia\/([^/]+)\/lib/.exec(entry)?.[1];
    if (name === undefined) continue;
    const candidate = resolve(entry.replaceAll("$ORIGIN", folder));
    found[name] ??= existsSync(candidate) ? candidate : undefined;
  }
  return found;
}

/** The folder that holds `tensorflow` and `nvidia`. */
export const siteOf = (tensorflow: Pick<TensorFlow, "folder">): string =>
  dirname(tensorflow.folder);
