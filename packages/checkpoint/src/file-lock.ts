import { DmaeError } from "@dmae/core";

/** How {@link withFileLock} waits and works. @internal */
export interface LockOptions {
  readonly caller: string;
  /** Stops waiting. */
  readonly signal?: AbortSignal | undefined;
  /** Called between two looks at a lock that another holds. */
  readonly onWait?: () => void | Promise<void>;
  /** Milliseconds between two looks; a holder shows twice as rarely that it is alive. */
  readonly poll?: number;
  /** Looks in a row that may find no sign of life before the lock counts as left behind. */
  readonly patience?: number;
}

/** Who holds a lock: what the lock file says. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
}

/**
 * Runs `work` while the file `lock` keeps every other process, and every other call in this one, out. A
 * lock whose process is gone is taken over: at once on the same machine, elsewhere when its holder has
 * not touched it for a while, by the clock of the one who waits. The signal that `work` gets is aborted
 * where the lock is lost nevertheless (the process was suspended), so that it never writes beside another.
 *
 * @internal
 */
export async function withFileLock<T>(
  lock: string,
  options: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { readFile, rm, utimes } = await import("node:fs/promises");
  const mine = await acquire(lock, options);
  const lost = new AbortController();
  const isMine = async () => (await readFile(lock, "utf8").catch(() => "")) === mine;
  const beat = async () => {
    if (!(await isMine()))
      lost.abort(new DmaeError("file", `${options.caller}: another process took ${lock} over`));
    else await utimes(lock, new Date(), new Date()).catch(() => {});
  };
  const timer = setInterval(() => void beat(), 2 * (options.poll ?? defaultPoll));
  timer.unref();
  const { signal } = options;
  try {
    return await work(signal ? AbortSignal.any([signal, lost.signal]) : lost.signal);
  } finally {
    clearInterval(timer);
    if (await isMine()) await rm(lock, { force: true });
  }
}

const defaultPoll = 500;

/** Waits until the lock file is ours, and gives its content. */
async function acquire(
  lock: string,
  { caller, signal, onWait, poll = defaultPoll, patience = 120 }: LockOptions,
): Promise<string> {
  const { writeFile } = await import("node:fs/promises");
  const { hostname } = await import("node:os");
  const { setTimeout: sleep } = await import("node:timers/promises");
  const host = hostname();
  const mine = JSON.stringify({ pid: process.pid, host, token: crypto.randomUUID() });
  for (let before = "", looks = 0; ; ) {
    signal?.throwIfAborted();
    try {
      await writeFile(lock, mine, { flag: "wx" });
      return mine;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST")
        throw fileError(`${caller}: cannot write`, lock, cause);
    }
    const seen = await look(lock);
    if (seen === undefined) continue; // let go of meanwhile
    const now = `${seen.content} ${seen.touched}`;
    looks = now === before ? looks + 1 : 0;
    before = now;
    if (looks >= patience || isGone(seen.content, host)) await bury(lock, seen.content);
    else {
      await onWait?.();
      await sleep(poll, undefined, signal ? { signal } : {}).catch(() => {});
    }
  }
}

async function look(lock: string): Promise<{ content: string; touched: number } | undefined> {
  const { readFile, stat } = await import("node:fs/promises");
  try {
    return { content: await readFile(lock, "utf8"), touched: (await stat(lock)).mtimeMs };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileError("download: cannot read the lock", lock, cause);
  }
}

function fileError(what: string, file: string, cause: unknown): DmaeError {
  return new DmaeError("file", `${what} ${file}: ${(cause as Error).message}`, { file }, { cause });
}

/** True where the holder was a process of this machine that no longer runs. */
function isGone(content: string, host: string): boolean {
  let holder: Holder;
  try {
    holder = JSON.parse(content);
  } catch {
    return false; // being written just now, or left empty by a crash: patience decides
  }
  if (holder?.host !== host || !Number.isSafeInteger(holder.pid)) return false;
  try {
    process.kill(holder.pid, 0); // asks whether it runs
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/**
 * Removes a lock left behind. It is moved away first and compared: where another process buried it and
 * made its own in between, that one is put back.
 */
async function bury(lock: string, content: string): Promise<void> {
  const { link, readFile, rename, rm } = await import("node:fs/promises");
  const grave = `${lock}.${crypto.randomUUID()}`;
  const moved = await rename(lock, grave).then(
    () => true,
    () => false,
  );
  if (!moved) return;
  if ((await readFile(grave, "utf8")) !== content) await link(grave, lock).catch(() => {});
  await rm(grave, { force: true });
}
