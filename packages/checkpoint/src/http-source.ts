import { DmaeError } from "@dmae/core";
import type { ByteSource } from "./byte-source.ts";

/** A `fetch`: replace it to add headers, a proxy or a cache. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

interface Remote {
  readonly caller: string;
  readonly url: string;
  readonly fetch: Fetch;
  /** Value for `If-Range`, so that a file replaced meanwhile is noticed. */
  readonly version: string | undefined;
}

/**
 * A file behind http(s), read by range requests. A server without them is read whole, up to
 * `maxBytes`.
 *
 * @internal
 */
export async function httpSource(
  caller: string,
  url: URL,
  { fetch, maxBytes }: { fetch: Fetch; maxBytes: number },
): Promise<ByteSource> {
  const address = url.href;
  const probe = await request({ caller, url: address, fetch, version: undefined }, 0, 1);
  if (probe.status === 200) return wholeSource(caller, address, probe, maxBytes);
  const size = Number(/^bytes 0-0\/(\d+)$/.exec(probe.headers.get("content-range") ?? "")?.[1]);
  await probe.body?.cancel();
  if (!Number.isSafeInteger(size))
    throw new DmaeError("file", `${caller}: ${address} does not say how long it is`);
  const etag = probe.headers.get("etag");
  const strong = etag?.startsWith('"') ? etag : undefined;
  const version = strong ?? probe.headers.get("last-modified") ?? undefined;
  const remote = { caller, url: address, fetch, version };
  const read = (start: number, end: number) => readRange(remote, size, start, end);
  return { label: address, size, parallelReads: 6, read, close: async () => {} };
}

async function request(remote: Remote, start: number, end: number): Promise<Response> {
  const { caller, url, fetch, version } = remote;
  const headers: Record<string, string> = { range: `bytes=${start}-${end - 1}` };
  if (version !== undefined) headers["if-range"] = version;
  const response = await fetch(url, { headers }).catch((cause) => {
    throw broken(`${caller}: cannot reach ${url}: ${cause.message}`, cause);
  });
  if (isDowngraded(url, response)) {
    await response.body?.cancel();
    throw new DmaeError(
      "file",
      `${caller}: ${url} redirects to ${response.url}, which is not https`,
    );
  }
  if (response.status === 200 || response.status === 206) return response;
  await response.body?.cancel();
  throw new DmaeError("file", `${caller}: ${url} answered ${response.status}`, {
    url,
    status: response.status,
    transient: response.status >= 500,
  });
}

/** True where an encrypted address led to one that anyone on the way can change. @internal */
export function isDowngraded(url: string, response: Response): boolean {
  return response.redirected && /^https:/i.test(url) && /^http:/i.test(response.url);
}

const attempts = 3;

/** Reads a range; a connection that fails is tried again. */
async function readRange(
  remote: Remote,
  size: number,
  start: number,
  end: number,
): Promise<Uint8Array> {
  if (start === end) return new Uint8Array(0);
  for (let attempt = 1; ; attempt++)
    try {
      return await readRangeOnce(remote, size, start, end);
    } catch (error) {
      const isTransient = DmaeError.isInstance(error) && error.details.transient === true;
      if (!isTransient || attempt === attempts) throw error;
    }
}

async function readRangeOnce(
  remote: Remote,
  size: number,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const { caller, url } = remote;
  const response = await request(remote, start, end);
  const range = response.headers.get("content-range");
  if (response.status !== 206 || range !== `bytes ${start}-${end - 1}/${size}`) {
    await response.body?.cancel();
    throw new DmaeError(
      "file",
      `${caller}: ${url} was asked for bytes ${start}-${end - 1}/${size} and answered ${response.status} ${range ?? "without a range"}; the file changed meanwhile, load it again`,
    );
  }
  return collect(remote.caller, url, response, end - start, true);
}

async function wholeSource(
  caller: string,
  url: string,
  response: Response,
  maxBytes: number,
): Promise<ByteSource> {
  const bytes = await collect(caller, url, response, maxBytes, false);
  const read = async (start: number, end: number) => bytes.slice(start, end);
  return { label: url, size: bytes.length, parallelReads: 1, read, close: async () => {} };
}

/** The body, no matter what its headers promise: exactly `limit` bytes, or at most. */
async function collect(
  caller: string,
  url: string,
  response: Response,
  limit: number,
  exact: boolean,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (let step = await next(caller, url, reader); step; step = await next(caller, url, reader)) {
    length += step.length;
    chunks.push(step);
    if (length <= limit) continue;
    await reader?.cancel();
    throw new DmaeError(
      exact ? "file" : "unsupported",
      exact
        ? `${caller}: ${url} sent more than the ${limit} bytes asked for`
        : `${caller}: ${url} does not answer range requests and is larger than maxWholeBytes = ${limit}; download it first, then load the file`,
    );
  }
  if (exact && length < limit)
    throw new DmaeError("file", `${caller}: ${url} sent ${length} of ${limit} bytes`);
  return concatenate(chunks, length);
}

async function next(
  caller: string,
  url: string,
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
): Promise<Uint8Array | undefined> {
  try {
    return (await reader?.read())?.value;
  } catch (cause) {
    throw broken(`${caller}: the connection to ${url} broke off`, cause);
  }
}

function concatenate(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let position = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, position);
    position += chunk.length;
  }
  return bytes;
}

function broken(message: string, cause: unknown): DmaeError {
  return new DmaeError("file", message, { transient: true }, { cause });
}
