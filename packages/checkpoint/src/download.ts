import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames, standIn } from "@dmae/core/checks";
import { cacheFolder, fileError, lockFile, makeFolder } from "@dmae/core/files";
import {
  type Attempt,
  type DownloadProgress,
  fetchRest,
  type Transfer,
} from "./download-attempt.ts";
import type { Fetch } from "./http-source.ts";
import { defaultFetch } from "./proxy-fetch.ts";
import { checkFacts, type FileFacts, factNames, findFault } from "./verify-file.ts";

/** Options of {@link download}. */
export interface DownloadOptions extends FileFacts {
  /** File to write; default: the last part of the address, in {@link cacheFolder}. */
  readonly to?: string | undefined;
  /** Most bytes that a file may have whose `size` is not given; default 2^36, 64 GiB. */
  readonly maxBytes?: number | undefined;
  /** False starts over where an earlier download was interrupted. */
  readonly resume?: boolean | undefined;
  /** Called at the start and after every piece. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Stops the download; what has arrived is kept for the next time. */
  readonly signal?: AbortSignal | undefined;
  /** Connections in a row that may fail without coming further, default 5. */
  readonly attempts?: number | undefined;
  /** Default: the global `fetch`, through the proxy of `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`. */
  readonly fetch?: Fetch | undefined;
}

/** The names of the options that every download has. @internal */
export const transferNames = {
  to: true,
  onProgress: "function",
  signal: "signal",
  attempts: true,
  fetch: true,
} satisfies OptionNames<Omit<DownloadOptions, "resume" | "maxBytes" | keyof FileFacts>>;

/**
 * Downloads a file and verifies it. Bytes go to `<to>.part`; when a connection is cut, or the program
 * was stopped, the rest is asked for by a range request, provided that the file on the server is still
 * the same one. Only a complete file of the right size and digest gets the name `to`. A file that is
 * there already and verifies is not downloaded again. Two processes that want the same file do not
 * disturb each other: `<to>.lock` makes the second one wait, and it then finds the file. Node only.
 *
 * @returns the path of the file
 * @throws DmaeError "file" where the server refuses, the connection keeps failing, the file is not what
 *   `size`, `sha256` or `md5` say, or has more than `maxBytes` (it is deleted then); what `signal` was
 *   aborted with
 *
 * @example
 * ```ts
 * const path = await download("https://example.org/weights.safetensors", {
 *   sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
 *   onProgress: ({ received, total }) => console.log(received, "of", total),
 * });
 * ```
 */
export async function download(url: string | URL, options: DownloadOptions = {}): Promise<string> {
  const caller = "download";
  checkOptions(caller, options, { ...transferNames, ...factNames, resume: true, maxBytes: true });
  checkFacts(caller, options);
  const { maxBytes = 2 ** 36 } = options;
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1)
    throw new DmaeError(
      "argument",
      `download: maxBytes must be an integer of at least 1, got ${maxBytes}`,
    );
  const address = new URL(url);
  const to = options.to ?? (await defaultPath(caller, address));
  options.signal?.throwIfAborted();
  const isThere = async () => (await isFile(to)) && !(await findFault(to, options));
  if (await isThere()) return to;
  const { signal, size: total, onProgress = () => {} } = options;
  const { dirname } = await import("node:path");
  await makeFolder(caller, dirname(to));
  await refuseFolder(to);
  const part = `${to}.part`;
  const onWait = async () => onProgress({ received: await sizeOf(part), total });
  const wait = { caller, guarded: to, wait: true, signal, onWait };
  const lock = await lockFile(`${to}.lock`, wait);
  try {
    if (await isThere()) return to; // the one that held the lock has downloaded it
    if (options.resume === false) await discard(part);
    const transfer: Transfer = {
      caller,
      url: address.href,
      part,
      facts: options,
      maxBytes,
      fetch: options.fetch ?? (await defaultFetch()),
      signal: signal ? AbortSignal.any([signal, lock.signal]) : lock.signal,
      onProgress,
    };
    await transferAll(transfer, options.attempts ?? 5);
    await lock.check();
    await accept(transfer, to);
    return to;
  } catch (cause) {
    const isOfSystem = typeof (cause as NodeJS.ErrnoException)?.syscall === "string";
    throw isOfSystem ? fileError(caller, "write", to, cause) : cause;
  } finally {
    await lock.release();
  }
}

/** Connects until the file is complete or `attempts` connections in a row came no further. */
async function transferAll(transfer: Transfer, attempts: number): Promise<void> {
  let furthest = 0;
  for (let failures = 0; ; ) {
    const outcome: Attempt = await fetchRest(transfer);
    if (outcome.complete) return;
    failures = outcome.position > furthest ? 0 : failures + 1;
    furthest = Math.max(furthest, outcome.position);
    if (outcome.isUseless) await discard(transfer.part);
    if (failures >= attempts || outcome.isFinal)
      throw new DmaeError(
        "file",
        `${transfer.caller}: ${transfer.url}: ${outcome.reason}`,
        { url: transfer.url, part: transfer.part },
        { cause: outcome.cause },
      );
    await pause(Math.min(8000, 100 * 2 ** failures), transfer.signal);
  }
}

/** Verifies the complete file and gives it its name. */
async function accept({ caller, url, part, facts }: Transfer, to: string): Promise<void> {
  const { open, rename, rm } = await import("node:fs/promises");
  const fault = [await findFault(part, facts), await findStandIn(part, to)];
  await rm(`${part}.json`, { force: true });
  const reasons = fault.filter((reason) => reason !== undefined).join("; ");
  if (reasons !== "") {
    await rm(part, { force: true });
    throw new DmaeError("file", `${caller}: ${url} is not the expected file: ${reasons}`, { url });
  }
  const file = await open(part, "r+");
  await file.sync().finally(() => file.close());
  await rename(part, to);
}

async function defaultPath(caller: string, { pathname, href }: URL): Promise<string> {
  const { join } = await import("node:path");
  const name = decodeURIComponent(pathname.slice(pathname.lastIndexOf("/") + 1));
  if (!/^[\w.+ -]+$/.test(name) || /^\.+$/.test(name))
    throw new DmaeError(
      "argument",
      `${caller}: ${href} does not end in a file name; give one in to`,
    );
  return join(await cacheFolder(), name);
}

/** Only known once everything has arrived, otherwise. */
async function refuseFolder(to: string): Promise<void> {
  const { stat } = await import("node:fs/promises");
  const found = await stat(to).catch(() => undefined);
  if (found?.isDirectory())
    throw new DmaeError("file", `download: ${to} must be a file, got a folder; name a file in it`, {
      file: to,
    });
}

async function discard(part: string): Promise<void> {
  const { rm } = await import("node:fs/promises");
  await rm(part, { force: true });
  await rm(`${part}.json`, { force: true });
}

async function sizeOf(path: string): Promise<number> {
  const { stat } = await import("node:fs/promises");
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function isFile(path: string): Promise<boolean> {
  const { stat } = await import("node:fs/promises");
  return stat(path).then(
    (entry) => entry.isFile(),
    () => false,
  );
}

/** What came in place of the file; nothing if a page was asked for. */
async function findStandIn(path: string, to: string): Promise<string | undefined> {
  if (/\.html?$/i.test(to)) return undefined;
  const { open } = await import("node:fs/promises");
  const file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(512)).finally(() => file.close());
  const found = standIn(buffer.subarray(0, bytesRead));
  return found && `the server sent ${found}`;
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  const { setTimeout: sleep } = await import("node:timers/promises");
  await sleep(milliseconds, undefined, signal ? { signal } : {}).catch(() => {});
  signal?.throwIfAborted();
}
