import { DmaeError } from "@dmae/core";

/** The right to write to a log, held by one process at a time. */
export interface LogLock {
  /** Throws where another process took the log over meanwhile, as it may after a long standstill. */
  check(): Promise<void>;
  release(): Promise<void>;
}

/** Who holds a lock, as written in its file. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, in the words of its system: tells a new process of the same number. */
  readonly started: string;
  /** Tells one lock from all others. */
  readonly token: string;
}

/** Milliseconds between the signs of life that a holder gives, … */
const BEAT = 10_000;

/** … of a silence after which one on another host is taken for dead, … */
const SILENCE = 60_000;

/** … and of an age beyond which nobody waits for that, whatever the clocks of two hosts say. */
const OLD = 900_000;

/** Locks that this process holds. */
const held = new Set<string>();

/**
 * Locks a log by a file `LOG.lock` beside it, which names process and host.
 *
 * A lock whose process is gone (`kill -9`, a crash) is taken over: on the same host where no process of
 * that number and starting time runs, on another one (a pod that was replaced) after waiting for a
 * minute for a sign of life. Taking over is a rename of the file as it was read, so that of several
 * processes that try one gets it.
 *
 * @param silence milliseconds to wait for a sign of life
 * @throws {DmaeError} "resume" where another writer is at work
 */
export async function lockLog(log: string, silence = SILENCE): Promise<LogLock> {
  const file = `${log}.lock`;
  const holder = await thisProcess();
  const text = `${JSON.stringify(holder)}\n`;
  await acquire(file, text, log, silence);
  held.add(holder.token);
  const { utimes, unlink } = await import("node:fs/promises");
  const beat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => {}); // that it is lost is noticed by check
  }, BEAT);
  beat.unref();
  return {
    async check() {
      if ((await read(file)) === text) return;
      throw new DmaeError(
        "resume",
        `certifyDataset: ${log} was taken over by another process while this one stood still; let one of them go on`,
        { file: log },
      );
    },
    async release() {
      clearInterval(beat);
      held.delete(holder.token);
      if ((await read(file)) === text) await unlink(file).catch(() => {});
    },
  };
}

async function acquire(file: string, text: string, log: string, silence: number): Promise<void> {
  const { writeFile } = await import("node:fs/promises");
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      return await writeFile(file, text, { flag: "wx" });
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code !== "EEXIST")
        throw new DmaeError(
          "file",
          `certifyDataset: cannot write ${file}: ${message}`,
          { file },
          { cause },
        );
    }
    const found = await read(file);
    if (found === undefined) continue; // released meanwhile
    if (await isAlive(file, found, silence)) throw inUse(log, file, found);
    await bury(file, found);
  }
  throw inUse(log, file, (await read(file)) ?? "");
}

/** Removes a dead lock, if it is still the one that was read. */
async function bury(file: string, found: string): Promise<void> {
  const { rename, link, unlink } = await import("node:fs/promises");
  const grave = `${file}.${crypto.randomUUID()}`;
  try {
    await rename(file, grave);
  } catch {
    return; // somebody else was faster
  }
  // the lock of a process that was faster is put back; where a third has locked by now, check tells
  if ((await read(grave)) !== found) await link(grave, file).catch(() => {});
  await unlink(grave);
}

async function read(file: string): Promise<string | undefined> {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(file, "utf8");
  } catch {
    return undefined;
  }
}

async function isAlive(file: string, text: string, silence: number): Promise<boolean> {
  const { hostname } = await import("node:os");
  const holder = parse(text);
  if (holder && held.has(holder.token)) return true;
  if (holder?.host === hostname()) return isRunning(holder);
  return givesSign(file, silence); // another host, or a file that is just being written
}

/** Watches a lock for a sign of life. */
async function givesSign(file: string, silence: number): Promise<boolean> {
  const { stat } = await import("node:fs/promises");
  const { setTimeout: sleep } = await import("node:timers/promises");
  const modified = async () => (await stat(file).catch(() => undefined))?.mtimeMs;
  const first = await modified();
  if (first === undefined || Date.now() - first > OLD) return false;
  for (const end = performance.now() + silence; performance.now() < end; ) {
    await sleep(Math.min(1000, silence / 10));
    const now = await modified();
    if (now !== first) return now !== undefined;
  }
  return false;
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, host, started, token } = JSON.parse(text);
    return Number.isSafeInteger(pid) && pid > 0 ? { pid, host, started, token } : undefined;
  } catch {
    return undefined;
  }
}

async function isRunning({ pid, started }: Holder): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  if (pid === process.pid && started === "") return false; // not held: an earlier process of this number
  const now = await startOf(pid);
  return now === "" || started === "" || now === started;
}

async function thisProcess(): Promise<Holder> {
  const { hostname } = await import("node:os");
  const { pid } = process;
  return { pid, host: hostname(), started: await startOf(pid), token: crypto.randomUUID() };
}

/**
 * The start of a process in ticks since the system's start, with the name of the latter; "dead" for one
 * that only waits to be buried by its parent, "" where the system does not tell.
 */
async function startOf(pid: number): Promise<string> {
  const boot = await read("/proc/sys/kernel/random/boot_id");
  const stat = await read(`/proc/${pid}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" "); // after the name, which may hold spaces
  if (!boot || !fields?.[19]) return "";
  return fields[0] === "Z" ? "dead" : `${boot.trim()} ${fields[19]}`;
}

function inUse(log: string, file: string, text: string): DmaeError {
  const holder = parse(text);
  const who = holder
    ? `process ${holder.pid} on ${holder.host}${held.has(holder.token) ? ", this one" : ""}`
    : "another process";
  return new DmaeError(
    "resume",
    `certifyDataset: ${log} is being written by ${who}; wait until it ends, or write to another log (if no such process is left, remove ${file})`,
    { file: log },
  );
}
