import { makeFolder } from "../files/make-folder.ts";
import { writeAtomically } from "../files/write-atomically.ts";
import { builtin, nodeProcess } from "./node.ts";
import { reportOnce } from "./report-once.ts";

const node = {
  crypto: () => builtin<typeof import("node:crypto")>("node:crypto")!,
  fs: () => builtin<typeof import("node:fs")>("node:fs")!,
  os: () => builtin<typeof import("node:os")>("node:os")!,
  path: () => builtin<typeof import("node:path")>("node:path")!,
};

/**
 * The path of a library: the one kept under the name `file`, or what `make` makes. A kept library is only
 * used where it is this user's (or root's), nobody else can write to it, and it has the digest at its end:
 * loading it runs it, and loading a truncated one ends the process. Where the cache cannot be used, one
 * line says so and the library lies in a folder of this process.
 */
export async function keepLibrary(file: string, make: () => Promise<Uint8Array>): Promise<string> {
  const { join } = node.path();
  let bytes: Uint8Array | undefined;
  try {
    const folder = await trustedFolder(cacheFolder());
    const path = join(folder, file);
    if (await isSound(path)) return path;
    bytes = await make();
    await write(path, bytes);
    await removeOldest(folder);
    return path;
  } catch (error) {
    if (bytes === undefined && !isOfCache(error)) throw error;
    const reason = (error as Error).message.split("\n", 1)[0];
    reportOnce(
      `kernels: compiled libraries cannot be kept, and are made for each process: ${reason}`,
    );
    const path = join(ownFolder(), file);
    await write(path, bytes ?? (await make()));
    return path;
  }
}

/** Where compiled libraries are kept: in `DMAE_CACHE`, else in `dmae` in the user's cache folder. */
function cacheFolder(): string {
  const { join, resolve } = node.path();
  const { DMAE_CACHE, XDG_CACHE_HOME } = nodeProcess?.env ?? {};
  const folder = DMAE_CACHE || join(XDG_CACHE_HOME || join(node.os().homedir(), ".cache"), "dmae");
  return resolve(folder, "kernels");
}

class UnusableCache extends Error {}

const isOfCache = (error: unknown) =>
  error instanceof UnusableCache ||
  typeof (error as NodeJS.ErrnoException | undefined)?.syscall === "string";

/** Makes a folder, and checks that no other user can put a library into it. */
async function trustedFolder(folder: string): Promise<string> {
  const { realpath, stat } = node.fs().promises;
  const { dirname } = node.path();
  await makeFolder("kernels", folder, { mode: 0o700 }).catch((cause) => {
    throw new UnusableCache(cause.message);
  });
  const real = await realpath(folder);
  const own = await stat(real);
  if (!isOurs(own.uid)) throw new UnusableCache(`${folder} belongs to another user (${own.uid})`);
  if (own.mode & 0o022) throw new UnusableCache(`${folder} can be written to by other users`);
  for (let above = dirname(real); ; above = dirname(above)) {
    const { mode } = await stat(above);
    if (mode & 0o002 && !(mode & STICKY))
      throw new UnusableCache(`${above} can be written to by everybody`);
    if (above === dirname(above)) return real;
  }
}

/** In such a folder (`/tmp`) nobody renames what is not theirs. */
const STICKY = 0o1000;

/** Root can do anything anyway. */
const isOurs = (uid: number) => uid === 0 || uid === process.geteuid?.();

/** Digits of SHA-256 at the end of a library, which loaders pass over. */
const DIGEST = 64;

async function isSound(path: string): Promise<boolean> {
  const { constants, open } = { ...node.fs(), ...node.fs().promises };
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => undefined);
  if (!file) return false; // none there, or one to be made anew
  try {
    const { uid, mode } = await file.stat();
    if (!isOurs(uid) || mode & 0o022) return false;
    const bytes = await file.readFile();
    const end = bytes.length - DIGEST;
    if (end <= 0 || digest(bytes.subarray(0, end)) !== bytes.toString("latin1", end)) return false;
    const now = new Date();
    await file.utimes(now, now).catch(() => {}); // a folder that is read-only
    return true;
  } finally {
    await file.close();
  }
}

const digest = (bytes: Uint8Array) =>
  node.crypto().createHash("sha256").update(bytes).digest("hex");

const write = (path: string, bytes: Uint8Array) =>
  writeAtomically("kernels", path, [bytes, new TextEncoder().encode(digest(bytes))], {
    mode: 0o600,
  });

let own: string | undefined;

/** A folder that goes with this process. */
function ownFolder(): string {
  const { mkdtempSync, rmSync } = node.fs();
  if (own !== undefined) return own;
  const made = mkdtempSync(node.path().join(node.os().tmpdir(), "dmae-kernels-"));
  process.on("exit", () => rmSync(made, { recursive: true, force: true }));
  own = made;
  return made;
}

/** Milliseconds after which a library that nobody has used is removed. */
const FORGET_AFTER = 60 * 24 * 3600 * 1000;

async function removeOldest(folder: string): Promise<void> {
  const fs = node.fs().promises;
  const { join } = node.path();
  const ours = (await fs.readdir(folder)).filter((file) =>
    /^(kernels|session|mpi|cuda)-.*\.node/.test(file),
  );
  for (const file of ours) {
    const path = join(folder, file);
    const modified = await fs.stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Number.POSITIVE_INFINITY, // removed meanwhile
    );
    if (Date.now() - modified > FORGET_AFTER) await fs.rm(path, { force: true }).catch(() => {});
  }
}
