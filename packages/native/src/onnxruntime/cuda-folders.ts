import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { askPython, userPackages } from "../ask-python.ts";
import { NativeError } from "../errors.ts";

/** The libraries that the provider of 1.30 cannot do without, CUDA 13. */
export const requiredCuda = [
  "libcudart.so.13",
  "libcublas.so.13",
  "libcublasLt.so.13",
  "libcurand.so.10",
  "libcufft.so.12",
  "libcudnn.so.9",
] as const;

/** All that is linked, where it exists: cuDNN opens parts of itself by name, and kernels are compiled by NVRTC. */
const wanted =
  /^lib(cudart|cublas|cublasLt|curand|cufft|cudnn\w*|nvrtc|nvrtc-builtins|nvJitLink)\.so\.[\d.]+$/;

/**
 * The CUDA libraries of folders, by file name; where two folders have one, the first does.
 *
 * @param folders searched in this order
 */
export function findCudaLibraries(folders: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const folder of folders)
    for (const name of existsSync(folder) ? readdirSync(folder).sort() : [])
      if (wanted.test(name) && !found.has(name)) found.set(name, join(folder, name));
  const missing = requiredCuda.filter((name) => !found.has(name));
  if (missing.length > 0)
    throw new NativeError(
      "cuda",
      `link: CUDA 13 libraries must include ${missing.join(", ")}, found none of ${missing.length === 1 ? "that name" : "them"} in ${folders.join(", ") || "any folder"}`,
      "leave --python out to fetch them, or pip install 'onnxruntime-gpu[cuda,cudnn]==1.30.0' nvidia-cublas there",
    );
  return found;
}

/** The folders of a `site-packages` that hold CUDA libraries: `nvidia/cu13/lib`, `nvidia/cudnn/lib`, …, `torch/lib`. */
export function cudaFoldersOf(site: string): string[] {
  const nvidia = join(site, "nvidia");
  const components = existsSync(nvidia) ? readdirSync(nvidia).sort() : [];
  return [
    ...components.map((name) => join(nvidia, name, "lib")),
    join(site, "torch", "lib"),
  ].filter((folder) => existsSync(folder));
}

/**
 * The folders where a Python installation keeps CUDA libraries (those of PyTorch, for example), then the toolkit's and the system's.
 *
 * @param python an interpreter, or the folder of a virtual environment
 */
export async function cudaFoldersOfPython(python: string): Promise<string[]> {
  const sites = await sitesOf(python);
  return [...sites.flatMap(cudaFoldersOf), "/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu"];
}

/** The folder of an `onnxruntime-gpu` of this release among the packages of a Python, if it is there. */
export async function providersOfPython(
  python: string,
  version: string,
): Promise<string | undefined> {
  const site = (await sitesOf(python)).find((folder) =>
    existsSync(join(folder, `onnxruntime_gpu-${version}.dist-info`)),
  );
  return site && join(site, "onnxruntime", "capi");
}

async function sitesOf(python: string): Promise<string[]> {
  const answer = await askPython(python, `${userPackages}print("\\n".join(sys.path))`);
  return answer.split("\n").filter((path) => /^(site|dist)-packages$/.test(basename(path)));
}
