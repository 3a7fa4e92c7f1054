import { existsSync, lstatSync } from "node:fs";
import { mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "../fetch-wheel.ts";
import { copyWithSearchPath } from "./search-path.ts";

/** What `link onnxruntime --gpu` put beside the library of onnxruntime-node. */
export interface ProviderManifest {
  /** The release of onnxruntime-node that it was made for. */
  readonly version: string;
  /** The folder that the provider was copied from. */
  readonly source: string;
  /** SHA-256 of the two provider files as copied, by file name. */
  readonly files: Readonly<Record<string, string>>;
  /** The CUDA libraries that are linked to, by file name. */
  readonly libraries: Readonly<Record<string, string>>;
}

/** The file that records it. */
export const manifestName = "dmae-native.json";

const provider = "libonnxruntime_providers_cuda.so";
const loader = "libonnxruntime_providers_shared.so";

/** The record in a folder; undefined where `link` has not been. */
export async function readProviderManifest(folder: string): Promise<ProviderManifest | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, manifestName), "utf8")) as ProviderManifest;
  } catch {
    return undefined;
  }
}

/** Why what is installed is not what the record says; undefined where it is. */
export async function damage(
  folder: string,
  manifest: ProviderManifest,
): Promise<string | undefined> {
  for (const [name, hash] of Object.entries(manifest.files)) {
    if (!existsSync(join(folder, name))) return `${name} is missing`;
    if ((await sha256(join(folder, name))) !== hash) return `${name} was changed`;
  }
  const gone = Object.entries(manifest.libraries).find(([name]) => !existsSync(join(folder, name)));
  return gone && `${gone[0]} leads to ${gone[1]}, which is missing`;
}

/**
 * Puts the provider and links to its CUDA libraries into the folder of onnxruntime-node's library. Everything is made in a
 * folder beside it and moved by renames, the record first, so that {@link removeProvider} can undo an interrupted one too.
 *
 * @param source the folder with the provider's two files
 * @param libraries paths of the CUDA libraries by file name
 */
export async function installProvider(
  folder: string,
  version: string,
  source: string,
  libraries: ReadonlyMap<string, string>,
): Promise<ProviderManifest> {
  const staging = await mkdtemp(join(folder, ".dmae-native-"));
  try {
    await copyWithSearchPath(join(source, provider), join(staging, provider));
    await writeFile(join(staging, loader), await readFile(join(source, loader)), { mode: 0o755 });
    for (const [name, path] of libraries) await symlink(path, join(staging, name));
    const files: Record<string, string> = {};
    for (const name of [loader, provider]) files[name] = await sha256(join(staging, name));
    const manifest = { version, source, files, libraries: Object.fromEntries(libraries) };
    await removeProvider(folder);
    await writeFile(join(staging, manifestName), `${JSON.stringify(manifest, null, 1)}\n`);
    for (const name of Object.keys(files)) await keepForeign(folder, name);
    for (const name of [manifestName, ...libraries.keys(), ...Object.keys(files)])
      await rename(join(staging, name), join(folder, name));
    return manifest;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Removes what `link` put there and restores what was there before; true where there was something. */
export async function removeProvider(folder: string): Promise<boolean> {
  const manifest = await readProviderManifest(folder);
  if (manifest === undefined) return false;
  for (const name of Object.keys(manifest.libraries))
    if (isLink(join(folder, name))) await rm(join(folder, name));
  for (const name of Object.keys(manifest.files)) {
    const original = join(folder, `${name}.original`);
    if (existsSync(original)) await rename(original, join(folder, name));
    else await rm(join(folder, name), { force: true });
  }
  await rm(join(folder, manifestName));
  return true;
}

/** A provider of npm's own install script stays beside ours. */
async function keepForeign(folder: string, name: string): Promise<void> {
  const path = join(folder, name);
  if (existsSync(path)) await rename(path, `${path}.original`);
}

const isLink = (path: string) =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
