import { existsSync, readFileSync } from "node:fs";
import { constants, copyFile, mkdir, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { NativeError } from "../errors.ts";

/** The release whose addon is compiled. */
export const supportedPackage = "4.22.0";

/** Where an installed `@tensorflow/tfjs-node` lies and from where it loads its addon. */
export interface InstalledPackage {
  readonly folder: string;
  readonly version: string;
  /** The C++ sources. */
  readonly sources: string;
  /** The file that `require("@tensorflow/tfjs-node")` opens. */
  readonly addon: string;
  /** The addon that was there before ours, if any. */
  readonly original: string;
  /** The Node-API version of that folder. */
  readonly nodeApi: number;
}

/** What a linked addon records of itself, inside the file: it cannot be there without it, nor outlive it. */
export interface AddonManifest {
  /** The release of TensorFlow. */
  readonly tensorflow: string;
  readonly build: "cpu" | "cuda";
  /** The folder of TensorFlow that it loads. */
  readonly folder: string;
  /** SHA-256 of sources, headers' version and compiler flags. */
  readonly recipe: string;
}

const manifestMark = "dmae-native-manifest:";

/** Finds `@tensorflow/tfjs-node` as a program in `project` would. */
export function findPackage(caller: string, project: string): InstalledPackage {
  const install = `run npm install --ignore-scripts @tensorflow/tfjs-node@${supportedPackage} in ${resolve(project)}`;
  let file: string;
  try {
    file = createRequire(join(resolve(project), "package.json")).resolve(
      "@tensorflow/tfjs-node/package.json",
    );
  } catch {
    throw new NativeError(
      "package",
      `${caller}: @tensorflow/tfjs-node must be installed, found none`,
      install,
    );
  }
  const { version, binary } = JSON.parse(readFileSync(file, "utf8")) as {
    version: string;
    binary: { napi_versions: number[] };
  };
  if (version !== supportedPackage) {
    throw new NativeError(
      "package",
      `${caller}: @tensorflow/tfjs-node must be ${supportedPackage}, got ${version}`,
      install,
    );
  }
  const folder = dirname(file);
  const running = Number(process.versions.napi);
  const nodeApi = Math.max(...binary.napi_versions.filter((each) => each <= running));
  const addon = join(folder, "lib", `napi-v${nodeApi}`, "tfjs_binding.node");
  return {
    folder,
    version,
    sources: join(folder, "binding"),
    addon,
    original: `${addon}.original`,
    nodeApi,
  };
}

/** The C++ line that carries the manifest into the addon. */
export function manifestSource(manifest: AddonManifest): string {
  const text = JSON.stringify(manifestMark + JSON.stringify(manifest));
  return `extern "C" __attribute__((used, visibility("default"))) const char dmae_native_manifest[] = ${text};\n`;
}

/** The manifest of the addon in place; undefined when there is no addon or another's. */
export async function readManifest(addon: string): Promise<AddonManifest | undefined> {
  const bytes = await readFile(addon).catch(() => undefined);
  const start = bytes?.indexOf(`${manifestMark}{`) ?? -1;
  if (bytes === undefined || start < 0) return undefined;
  const text = bytes.toString("utf8", start + manifestMark.length, bytes.indexOf(0, start));
  return JSON.parse(text) as AddonManifest;
}

/** Puts an addon in place by one rename, so that a program sees the old one or the new one; keeps a foreign one. */
export async function installAddon(built: string, target: InstalledPackage): Promise<void> {
  await mkdir(dirname(target.addon), { recursive: true });
  const foreign = existsSync(target.addon) && (await readManifest(target.addon)) === undefined;
  if (foreign) await copyFile(target.addon, target.original, constants.COPYFILE_FICLONE);
  const beside = `${target.addon}.${process.pid}`;
  try {
    await copyFile(built, beside);
    await rename(beside, target.addon);
  } finally {
    await rm(beside, { force: true });
  }
}

/** Takes our addon away and puts back what was there before; true when there was one of ours. */
export async function uninstallAddon(target: InstalledPackage): Promise<boolean> {
  if (!existsSync(target.addon)) return false;
  if ((await readManifest(target.addon)) === undefined) {
    throw new NativeError(
      "foreign",
      `unlink: ${target.addon} was not put there by link, left as it is`,
    );
  }
  if (existsSync(target.original)) await rename(target.original, target.addon);
  else await rm(target.addon);
  return true;
}
