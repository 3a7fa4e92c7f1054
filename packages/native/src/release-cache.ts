import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join, relative } from "node:path";
import { NativeError } from "./errors.ts";
import { checkSpace, fetchWheel, sha256 } from "./fetch-wheel.ts";
import { type PinnedRelease, type PinnedWheel, pinnedReleases } from "./pinned-wheels.ts";
import { type Machine, runsWheel } from "./platform.ts";
import { unpackCudaLibraries, unpackTensorFlow } from "./wheel.ts";

/** Written last: an unpacked release without it, or whose files differ from it, is unpacked anew. */
const inventoryName = "inventory.json";

/** The cache folder when none is named: `$XDG_CACHE_HOME/dmae/native`, else `~/.cache/dmae/native`. */
export const defaultCache = (): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "dmae", "native");

/** The wheels pinned for a release, or an error that lists the releases there are. */
export function pinnedWheels(
  version: string,
  gpu: boolean,
  machine: Machine,
): readonly PinnedWheel[] {
  const release: PinnedRelease | undefined = pinnedReleases.find(
    (known) => known.version === version,
  );
  if (release === undefined) {
    const known = pinnedReleases.map((each) => each.version).join(", ");
    throw new NativeError("argument", `link: --tensorflow must be one of ${known}, got ${version}`);
  }
  if (!gpu) return [release.cpu[machine]];
  if (machine !== "x64") {
    throw new NativeError("platform", `link: the CUDA wheels are for x64, got ${machine}`);
  }
  return release.gpu.x64;
}

/** How a wheel is unpacked into a `site-packages`. */
export type Unpack = (file: string, site: string) => Promise<void>;

/**
 * Fetches and unpacks pinned wheels unless the cache holds them; returns their `site-packages`.
 *
 * @param unpackFirst for the wheel of the release itself; the others hold CUDA libraries
 */
export async function fetchRelease(
  wheels: readonly PinnedWheel[],
  unpackFirst: Unpack,
  cache: string,
  glibc: string,
  report: (line: string) => void,
): Promise<string> {
  for (const { file } of wheels) {
    if (runsWheel(file, glibc)) continue;
    throw new NativeError("platform", `link: ${file} needs a newer C library than glibc ${glibc}`);
  }
  const identity = wheels.map((wheel) => wheel.sha256);
  return unpackOnce(cache, nameOf(wheels[0]!.file, identity), async (partial) => {
    await checkSpace(wheels, cache);
    for (const [i, wheel] of wheels.entries()) {
      report(`fetching ${wheel.file} (${Math.ceil(wheel.bytes / 1e6)} MB)`);
      const file = await fetchWheel(wheel, partial);
      await (i === 0 ? unpackFirst : unpackCudaLibraries)(file, join(partial, "site"));
      await rm(file);
    }
  });
}

/** Unpacks wheels that lie on the disk; returns their `site-packages`: the one of TensorFlow and, for a CUDA build, those of its libraries. */
export async function unpackRelease(
  files: readonly string[],
  cache: string,
  report: (line: string) => void,
): Promise<string> {
  const isTensorFlow = (file: string) => /^tensorflow(_cpu|_intel)?-/.test(basename(file));
  const main = files.filter(isTensorFlow);
  if (main.length !== 1) {
    throw new NativeError(
      "argument",
      `link: --wheel must name one wheel of TensorFlow, got ${main.length} among ${files.join(", ")}`,
      "repeat --wheel for the nvidia-* wheels of a CUDA build",
    );
  }
  const ordered = [...main, ...files.filter((file) => !isTensorFlow(file)).sort()];
  const identity: string[] = [];
  for (const file of ordered) identity.push(await checkWheel(file, report));
  return unpackOnce(cache, nameOf(ordered[0]!, identity), async (partial) => {
    for (const [i, file] of ordered.entries()) {
      report(`unpacking ${basename(file)}`);
      await (i === 0 ? unpackTensorFlow : unpackCudaLibraries)(file, join(partial, "site"));
    }
  });
}

async function checkWheel(file: string, report: (line: string) => void): Promise<string> {
  if (!existsSync(file))
    throw new NativeError("argument", `link: --wheel must name a file, got ${file}`);
  const found = await sha256(file);
  const known = pinnedReleases
    .flatMap(({ cpu, gpu }) => [cpu.x64, cpu.arm64, ...gpu.x64])
    .find((wheel) => wheel.file === basename(file));
  if (known !== undefined && known.sha256 !== found) {
    throw new NativeError(
      "download",
      `link: ${file} must have SHA-256 ${known.sha256}, got ${found}`,
      "download it again",
    );
  }
  if (known === undefined)
    report(`${basename(file)} is not a pinned wheel: its hash ${found} was not checked`);
  return found;
}

function nameOf(wheel: string, identity: readonly string[]): string {
  const [project = "", version = ""] = basename(wheel).split("-");
  const build = identity.length > 1 ? "-cuda" : "";
  return `${project}-${version}${build}-${createHash("sha256").update(identity.join()).digest("hex").slice(0, 12)}`;
}

/** `fill` works in a folder of its own, which takes its final name only when complete: a kill leaves nothing half done. */
async function unpackOnce(
  cache: string,
  name: string,
  fill: (partial: string) => Promise<void>,
): Promise<string> {
  const target = join(cache, name);
  const site = join(target, "site");
  if (await isComplete(target)) return site;
  await mkdir(cache, { recursive: true });
  await removeAbandoned(cache);
  const partial = await mkdtemp(join(cache, `partial-${process.pid}-`));
  try {
    await fill(partial);
    const inventory = await listFiles(join(partial, "site"));
    await writeFile(join(partial, inventoryName), `${JSON.stringify(inventory, null, 1)}\n`);
    if (await isComplete(target)) return site; // another process was faster
    await rm(target, { recursive: true, force: true });
    await rename(partial, target);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return site;
}

/** SHA-256 of every file, by its path. */
async function listFiles(site: string): Promise<Record<string, string>> {
  const entries = await readdir(site, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const hashes: [string, string][] = [];
  for (const file of files.sort()) hashes.push([relative(site, file), await sha256(file)]);
  return Object.fromEntries(hashes);
}

async function isComplete(target: string): Promise<boolean> {
  try {
    const recorded = JSON.parse(await readFile(join(target, inventoryName), "utf8"));
    return JSON.stringify(recorded) === JSON.stringify(await listFiles(join(target, "site")));
  } catch {
    return false;
  }
}

/** Folders of processes that were killed. */
async function removeAbandoned(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const owner = /^partial-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && !isAlive(Number(owner)))
      await rm(join(cache, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
