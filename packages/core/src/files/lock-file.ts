import { DmaeError } from "../errors.ts";
import { fileError } from "./file-error.ts";
import { type ProcessIdentity, stateOf, thisProcess } from "./process-identity.ts";
import { removeLeftovers, temporaryName } from "./temporary-files.ts";

/** Options of {@link lockFile}. @internal */
export interface LockOptions {
  /** Function that the user called, for errors. */
  readonly caller: string;
  /** The file or folder that the lock guards, for errors. */
  readonly guarded: string;
  /** True waits for the lock; false (the default) is an error where another process works. */
  readonly wait?: boolean | undefined;
  /** Stops waiting. */
  readonly signal?: AbortSignal | undefined;
  /** Called between two looks at a lock that another holds. */
  readonly onWait?: () => void | Promise<void>;
  /** Milliseconds between two looks, default 500; a holder gives a sign of life every ten. */
  readonly poll?: number | undefined;
  /** Milliseconds without a sign of life after which a holder that cannot be asked counts as gone. */
  readonly silence?: number | undefined;
}

/** The right to write somewhere, held by one process at a time. @internal */
export interface FileLock {
  /** Aborted once another process is found to have taken the lock over. */
  readonly signal: AbortSignal;
  /** Throws where another process took the lock over, as it may after a long standstill of this one. */
  check(): Promise<void>;
  release(): Promise<void>;
}

/** Who holds a lock, as written in its file. */
interface Holder extends ProcessIdentity {
  /** Name of the machine, for people: machines may share one. */
  readonly host: string;
  /** Tells one lock from all others. */
  readonly token: string;
}

/** Locks that this process holds. */
const held = new Set<string>();

/**
 * Takes the lock that is the file `file`: while it is there, every other process, and every other caller
 * in this one, is kept out. Node only.
 *
 * A lock is taken over where its process is known to be gone (same boot, same namespace of process
 * numbers, no such process), or, where it cannot be asked (another machine or container), once this
 * process has seen it unchanged for 60 s by its own monotonic clock. No two clocks are compared. Taking
 * over is a rename of the file as it was read, so that of several processes that try one gets it.
 *
 * @param file the lock, e.g. `run.tsv.lock`; its folder must exist
 * @throws {DmaeError} "resume" where another process works and `wait` is false, "file" where the lock
 *   cannot be written; what `signal` was aborted with
 * @internal
 */
export async function lockFile(file: string, options: LockOptions): Promise<FileLock> {
  const { rm, utimes } = await import("node:fs/promises");
  const { hostname } = await import("node:os");
  const token = crypto.randomUUID();
  const text = `${JSON.stringify({ ...(await thisProcess()), host: hostname(), token })}\n`;
  await acquire(file, text, options);
  held.add(token);
  await removeLeftovers(file).catch(() => {}); // of processes that were killed while they locked
  const lost = new AbortController();
  const isMine = async () => (await look(file, options.caller))?.text === text;
  const takenOver = () =>
    new DmaeError(
      "resume",
      `${options.caller}: ${options.guarded} was taken over by another process while this one stood still; let one of them go on`,
      { file },
    );
  const beat = async () => {
    if (!(await isMine())) return lost.abort(takenOver());
    await utimes(file, new Date(), new Date());
  };
  const timer = setInterval(() => void beat().catch(() => {}), 10 * (options.poll ?? POLL));
  timer.unref();
  return {
    signal: lost.signal,
    async check() {
      if (!(await isMine())) throw takenOver();
    },
    async release() {
      clearInterval(timer);
      held.delete(token);
      if (await isMine().catch(() => false)) await rm(file, { force: true }).catch(() => {});
    },
  };
}

const POLL = 500;
const SILENCE = 60_000;

async function acquire(file: string, text: string, options: LockOptions): Promise<void> {
  const { setTimeout: sleep } = await import("node:timers/promises");
  const { caller, signal, onWait, wait = false, poll = POLL, silence = SILENCE } = options;
  const observe = observer(2 * poll);
  while (!(await create(file, text, caller))) {
    signal?.throwIfAborted();
    const seen = await look(file, caller);
    if (seen === undefined) continue; // released meanwhile
    const state = await holderState(seen.text);
    const { silent, hasChanged } = observe(`${seen.text} ${seen.touched}`);
    if (state === "gone" || (state === "unknown" && silent >= silence))
      await removeStaleLock(file, seen.text, caller);
    else if (!wait && (state === "runs" || hasChanged)) throw inUse(file, seen.text, options);
    else {
      await onWait?.();
      await sleep(poll, undefined, signal ? { signal } : {}).catch(() => {});
    }
  }
}

/**
 * Measures for how long what is seen stays the same. An interval counts for `most` milliseconds at most: where
 * this process stood still, the other one may have stood still with it.
 */
function observer(most: number) {
  let [before, at, silent, hasChanged] = ["", performance.now(), 0, false];
  return (now: string) => {
    const time = performance.now();
    if (now === before) silent += Math.min(time - at, most);
    else {
      hasChanged = before !== "";
      silent = 0;
    }
    [before, at] = [now, time];
    return { silent, hasChanged };
  };
}

/**
 * Creates the lock file; returns false if it exists already. It appears with its content: a kill must not leave an empty
 * lock, which nobody could take over for a minute.
 */
async function create(file: string, text: string, caller: string): Promise<boolean> {
  const { link, rm, writeFile } = await import("node:fs/promises");
  const temporary = await temporaryName(file);
  try {
    await writeFile(temporary, text, { flag: "wx" });
    await link(temporary, file).catch((cause) => {
      if (!withoutLinks.has(cause.code)) throw cause;
      return writeFile(file, text, { flag: "wx" });
    });
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw fileError(caller, "write", file, cause);
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
}

/** How file systems answer that know no hard links. */
const withoutLinks = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"]);

/** What a lock file says, and when it was touched; undefined if the file does not exist. */
async function look(file: string, caller: string) {
  const { lstat, open } = await import("node:fs/promises");
  try {
    const handle = await open(file); // opening asks a network's file server for what is new
    try {
      const { mtimeMs, ctimeMs } = await handle.stat();
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
      return { text: buffer.toString("utf8", 0, bytesRead), touched: `${mtimeMs} ${ctimeMs}` };
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    if (isMissing && !(await lstat(file).catch(() => undefined))?.isSymbolicLink())
      return undefined;
    throw fileError(caller, "read", file, cause);
  }
}

async function holderState(text: string): Promise<"runs" | "gone" | "unknown"> {
  const holder = parse(text);
  if (holder === undefined) return "unknown"; // being written just now, or left empty by a crash
  return held.has(holder.token) ? "runs" : stateOf(holder);
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, space, started, host, token } = JSON.parse(text);
    const isProcess = Number.isSafeInteger(pid) && pid > 0 && typeof space === "string";
    return isProcess ? { pid, space, started: `${started}`, host, token } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Removes a lock left behind. It is moved away first and compared: where another process removed it and
 * made its own in between, that one is put back; where a third has locked by then, `check` finds out.
 */
async function removeStaleLock(file: string, found: string, caller: string): Promise<void> {
  const { link, rename, rm } = await import("node:fs/promises");
  const grave = await temporaryName(file);
  try {
    await rename(file, grave);
    if ((await look(grave, caller))?.text !== found) await link(grave, file).catch(() => {});
    await rm(grave, { force: true });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return; // somebody else was faster
    throw fileError(caller, "remove the lock left at", file, cause);
  }
}

function inUse(file: string, text: string, { caller, guarded }: LockOptions): DmaeError {
  const holder = parse(text);
  const who = holder
    ? `process ${holder.pid} on ${holder.host}${held.has(holder.token) ? ", this one" : ""}`
    : "another process";
  return new DmaeError(
    "resume",
    `${caller}: ${guarded} is being written by ${who}; wait until it ends, or choose another one (if no such process is left, remove ${file})`,
    { file },
  );
}
