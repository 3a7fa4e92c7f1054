import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { NativeError } from "../errors.ts";
import { type PinnedProvider, pinnedProviders } from "./pinned-providers.ts";

/** Where an installed `onnxruntime-node` lies, and from where it loads its providers. */
export interface OnnxRuntimePackage {
  /** The package's folder. */
  readonly folder: string;
  /** Its release. */
  readonly version: string;
  /** The folder of its library, where it looks for providers. */
  readonly libraries: string;
}

/** Finds `onnxruntime-node` as a program in `project` would. */
export function findOnnxRuntime(caller: string, project: string): OnnxRuntimePackage {
  let file: string;
  try {
    file = createRequire(join(resolve(project), "package.json")).resolve(
      "onnxruntime-node/package.json",
    );
  } catch {
    const versions = pinnedProviders.map(({ version }) => version);
    throw new NativeError(
      "package",
      `${caller}: onnxruntime-node must be installed, found none`,
      `run npm install --ignore-scripts onnxruntime-node@${versions.at(-1)} in ${resolve(project)}`,
    );
  }
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
  const folder = dirname(file);
  const libraries = join(folder, "bin", "napi-v6", process.platform, process.arch);
  return { folder, version, libraries };
}

/** The wheels for the installed release, or an error that lists the releases there are. */
export function pinnedProviderOf(caller: string, version: string): PinnedProvider {
  const found = pinnedProviders.find((pinned) => pinned.version === version);
  if (found) return found;
  const known = pinnedProviders.map((pinned) => pinned.version);
  throw new NativeError(
    "package",
    `${caller}: onnxruntime-node must be ${known.join(" or ")}, the provider's wheel is of the same release; got ${version}`,
    `run npm install --ignore-scripts onnxruntime-node@${known.at(-1)}`,
  );
}
