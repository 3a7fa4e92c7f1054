import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { probeLibraries } from "../probe.ts";
import { siteOf, type TensorFlow } from "./tensorflow.ts";

/** A CUDA library that a build of TensorFlow opens when it finds a card. */
export interface CudaLibrary {
  /** The file name asked for: `libcudnn.so.9`. */
  readonly name: string;
  /** Where it was found; undefined when the system's loader found it, or nobody. */
  readonly path?: string;
  /** The release of its wheel, if it comes from one. */
  readonly release?: string;
  /** The loader's complaint when it does not load. */
  readonly problem?: string;
}

/** Folder of the wheel -> files that TensorFlow asks for, in CUDA 12; cuDNN's number depends on the build. */
const filesOf: Readonly<Record<string, readonly string[]>> = {
  cuda_runtime: ["libcudart.so.12"],
  cublas: ["libcublas.so.12", "libcublasLt.so.12"],
  cuda_cupti: ["libcupti.so.12"],
  cudnn: ["libcudnn.so."],
  cufft: ["libcufft.so.11"],
  cusolver: ["libcusolver.so.11"],
  cusparse: ["libcusparse.so.12"],
};

/** Opens each CUDA library where TensorFlow's own search path leads, else where the system's loader finds it. */
export async function checkCudaLibraries(tensorflow: TensorFlow): Promise<readonly CudaLibrary[]> {
  const { cuda } = tensorflow;
  if (cuda === undefined) return [];
  const releases = wheelReleases(siteOf(tensorflow));
  const wanted = Object.keys(tensorflow.cudaFolders)
    .sort()
    .flatMap((component) =>
      (filesOf[component] ?? []).map((file) => {
        const name = file.endsWith(".") ? `${file}${cuda.cudnn}` : file;
        const path = join(tensorflow.cudaFolders[component] ?? "", name);
        return { name, component, path: existsSync(path) ? path : undefined };
      }),
    );
  const answers = await probeLibraries(wanted.map(({ name, path }) => path ?? name));
  return wanted.map(({ name, component, path }) => {
    const problem = "failure" in answers ? (answers.failure as string) : answers[path ?? name];
    const release = path && releases[component];
    return {
      name,
      ...(path && { path }),
      ...(release && { release }),
      ...(problem && { problem }),
    };
  });
}

/** `nvidia_cudnn_cu12-9.3.0.75.dist-info` says that `nvidia/cudnn` is of release 9.3.0.75. */
function wheelReleases(site: string): Record<string, string> {
  const found = readdirSync(site)
    .map((name) => /^nvidia_(.+)_cu\d+-([^-]+)\.dist-info$/.exec(name))
    .filter((match) => match !== null);
  return Object.fromEntries(found.map(([, component, release]) => [component!, release!]));
}
