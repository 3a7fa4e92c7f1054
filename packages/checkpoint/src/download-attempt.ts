import { type Fetch, isDowngraded } from "./http-source.ts";
import type { FileFacts } from "./verify-file.ts";

type FileHandle = import("node:fs/promises").FileHandle;

/** How far a download is. */
export interface DownloadProgress {
  /** Bytes on disk, those of an earlier, interrupted download included. */
  readonly received: number;
  /** Bytes in all, where known. */
  readonly total: number | undefined;
}

/** One file on its way. @internal */
export interface Transfer {
  readonly caller: string;
  readonly url: string;
  readonly part: string;
  readonly facts: FileFacts;
  /** Most bytes, where the facts have no size. */
  readonly maxBytes: number;
  readonly fetch: Fetch;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: DownloadProgress) => void;
}

/** How one connection ended. @internal */
export type Attempt =
  | { readonly complete: true }
  | {
      readonly complete: false;
      /** Bytes of the file that are there now. */
      readonly position: number;
      readonly reason: string;
      readonly cause?: unknown;
      /** True where another attempt would bring the same. */
      readonly isFinal: boolean;
      /** True where what has arrived is of no use. */
      readonly isUseless?: boolean;
    };

/** What is noted beside a partial file: whose bytes they are. */
interface Origin {
  readonly url: string;
  /** ETag or Last-Modified; null where the server gives neither. */
  readonly version: string | null;
}

/** Asks for what is missing and appends it. Only an abort or a full disk throws. @internal */
export async function fetchRest(transfer: Transfer): Promise<Attempt> {
  const { url, part, fetch, signal } = transfer;
  const { offset, version } = await resumePoint(transfer);
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (offset > 0) headers.range = `bytes=${offset}-`;
  if (offset > 0 && version !== null) headers["if-range"] = version;
  let response: Response;
  try {
    response = await fetch(url, { headers, ...(signal ? { signal } : {}) });
  } catch (cause) {
    signal?.throwIfAborted();
    return failed(0, `cannot connect: ${messageOf(cause)}`, cause);
  }
  const foul = responseProblem(transfer, response, offset);
  if (foul !== undefined) {
    await response.body?.cancel().catch(() => {});
    return { complete: false, position: 0, reason: foul, isFinal: true };
  }
  const start = startOf(response, offset, version);
  if (start === undefined) {
    await response.body?.cancel().catch(() => {});
    return refused(transfer, response, offset);
  }
  const { open } = await import("node:fs/promises");
  const file = await open(part, start === 0 ? "w" : "r+");
  try {
    // once nothing of another version is there: a kill must not leave its bytes with this note
    if (start === 0) await writeOrigin(part, { url, version: versionOf(response) });
    return await receive(transfer, response, file, start);
  } finally {
    await file.close();
  }
}

/** What a response says that rules it out before a byte of it is written. */
function responseProblem(
  { url, facts, maxBytes }: Transfer,
  response: Response,
  offset: number,
): string | undefined {
  if (isDowngraded(url, response)) return `it redirects to ${response.url}, which is not https`;
  const start = response.status === 206 ? offset : response.status === 200 ? 0 : undefined;
  const announced = announcedEnd(response, start ?? 0);
  if (start === undefined || announced === undefined || announced <= (facts.size ?? maxBytes))
    return undefined;
  return facts.size === undefined
    ? `${tooLong(maxBytes)}, got ${announced} announced by the server`
    : `the file must have ${facts.size} bytes, got ${announced} announced by the server`;
}

const tooLong = (maxBytes: number) => `the file may have ${maxBytes} bytes at most (maxBytes)`;

/** Where the body ends in the file, if its headers say so in a way that can be relied on. */
function announcedEnd({ headers }: Response, start: number): number | undefined {
  const length = headers.get("content-length");
  const encoded = headers.get("content-encoding") ?? "identity";
  const isKnown = length !== null && /^\d{1,15}$/.test(length) && encoded === "identity";
  return isKnown ? start + Number(length) : undefined;
}

/** Where the bytes of a response belong; undefined where it brings none that fit. */
function startOf(response: Response, offset: number, version: string | null): number | undefined {
  if (response.status === 200) return 0;
  if (version !== null && versionOf(response) !== version) return undefined;
  const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
  return response.status === 206 && Number(range?.[1]) === offset ? offset : undefined;
}

async function refused(transfer: Transfer, response: Response, offset: number): Promise<Attempt> {
  const { status } = response;
  const total = /^bytes \*\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (status === 416 && Number(total) === offset) return { complete: true };
  if (offset > 0 && (status === 416 || status === 206)) {
    const { rm } = await import("node:fs/promises");
    await rm(transfer.part, { force: true }); // the file there is another one by now: from the start
    return failed(0, `the server answered ${status} to a request for the rest`);
  }
  const isFinal = status !== 408 && status !== 429 && status < 500;
  return { complete: false, position: 0, reason: `the server answered ${status}`, isFinal };
}

async function receive(
  { facts, maxBytes, signal, onProgress }: Transfer,
  response: Response,
  file: FileHandle,
  start: number,
): Promise<Attempt> {
  const announced = announcedEnd(response, start);
  const total = announced ?? facts.size;
  let position = start;
  onProgress({ received: position, total });
  const reader = response.body?.getReader();
  const aborted = whenAborted(signal);
  for (;;) {
    let chunk: Uint8Array | undefined;
    try {
      signal?.throwIfAborted();
      chunk = (await Promise.race([reader?.read(), aborted]))?.value;
    } catch (cause) {
      signal?.throwIfAborted();
      return failed(position, `the connection broke off: ${messageOf(cause)}`, cause);
    }
    if (chunk === undefined) break;
    if (facts.size === undefined && position + chunk.length > maxBytes) {
      await reader?.cancel();
      const reason = `${tooLong(maxBytes)}, got more`;
      return { complete: false, position, reason, isFinal: true, isUseless: true };
    }
    await writeAll(file, chunk, position);
    position += chunk.length;
    onProgress({ received: position, total });
    if (facts.size === undefined || position <= facts.size) continue;
    await reader?.cancel();
    return { complete: true }; // too long, which the verification will say
  }
  if (announced === undefined || position >= announced) return { complete: true };
  return failed(position, `the connection ended after ${position} of ${announced} bytes`);
}

/** Rejects once the signal is aborted: a read that is under way may otherwise not notice. */
function whenAborted(signal: AbortSignal | undefined): Promise<undefined> {
  const aborted = new Promise<undefined>((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {}); // it may come when nobody waits any more
  return aborted;
}

async function writeAll(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < chunk.length; )
    written += (await file.write(chunk, written, chunk.length - written, position + written))
      .bytesWritten;
}

/**
 * How much of the file is there. A partial file counts if its note names the same address, and either
 * the server can tell whether it is still the same file, or a digest will.
 */
async function resumePoint({ url, part, facts }: Transfer) {
  const { readFile, stat } = await import("node:fs/promises");
  const none = { offset: 0, version: null };
  try {
    const { size } = await stat(part);
    const origin: Origin = JSON.parse(await readFile(`${part}.json`, "utf8"));
    const isSafe = origin.version !== null || facts.sha256 !== undefined || facts.md5 !== undefined;
    return origin.url === url && isSafe ? { offset: size, version: origin.version } : none;
  } catch {
    return none; // no partial file, or none that is known
  }
}

async function writeOrigin(part: string, origin: Origin): Promise<void> {
  const { writeFile } = await import("node:fs/promises");
  await writeFile(`${part}.json`, JSON.stringify(origin));
}

/** A weak ETag does not promise the same bytes, so it does not count. */
function versionOf({ headers }: Response): string | null {
  const etag = headers.get("etag");
  return etag?.startsWith('"') ? etag : headers.get("last-modified");
}

function failed(position: number, reason: string, cause?: unknown): Attempt {
  return { complete: false, position, reason, cause, isFinal: false };
}

/** `fetch` hides the reason (a name that is not known, a refused connection) in the cause. */
function messageOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message} (${cause.message})` : message;
}
