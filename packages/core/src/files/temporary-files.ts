import { isGone, thisProcess } from "./process-identity.ts";

/** Milliseconds without a write after which a file counts as left behind, whoever was writing it. */
const patience = 3_600_000;

/** A name beside `path` for a file being written: which machine, which process, and no other file's. */
export async function temporaryName(path: string): Promise<string> {
  return `${path}.${await machine()}-${process.pid}-${crypto.randomUUID().slice(0, 8)}.tmp`;
}

/**
 * Removes the temporary files of `path`, which was just written, that nobody is writing any more: those of
 * processes of this machine that are gone, at once; those of processes that still run, of other machines (the
 * folder may be shared) and of unknown ones, when they were last written an hour before `path`.
 */
export async function removeLeftovers(path: string): Promise<void> {
  const { readdir, rm, stat } = await import("node:fs/promises");
  const { basename, dirname, join } = await import("node:path");
  const prefix = `${basename(path)}.`;
  const here = await machine();
  const { mtimeMs: now } = await stat(path); // by the clock of the file system, as their times
  for (const name of await readdir(dirname(path))) {
    const made = name.startsWith(prefix) && pattern.exec(name.slice(prefix.length));
    if (!made) continue;
    const file = join(dirname(path), name);
    const status = await stat(file).catch(() => undefined);
    if (!status?.isFile()) continue; // gone meanwhile, or none of ours
    const isLeft = made[1] === here && here !== unknown && isGone(Number(made[2]));
    if (isLeft || now - status.mtimeMs > patience) await rm(file, { force: true });
  }
}

/** `<machine>-<process>-<random>.tmp` */
const pattern = /^([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{8}\.tmp$/;

/** The machine of a system that does not tell one from another. */
const unknown = "00000000";

/** Eight digits for the boot and the namespace of processes: where a process number means something. */
async function machine(): Promise<string> {
  const { createHash } = await import("node:crypto");
  const { space } = await thisProcess();
  return space === "" ? unknown : createHash("sha256").update(space).digest("hex").slice(0, 8);
}
