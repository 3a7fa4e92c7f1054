import { DmaeError } from "@dmae/core";
import { copyBytes } from "./dtypes.ts";

/** Bytes of a file, read by range. @internal */
export interface ByteSource {
  /** What errors call it: a path or an address. */
  readonly label: string;
  readonly size: number;
  /** How many reads are worth having under way at once. */
  readonly parallelReads: number;
  /** Bytes `start … end - 1` in memory that belongs to the caller; throws where the file has fewer. */
  read(start: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** @internal */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    label: "the bytes",
    size: bytes.length,
    parallelReads: 1,
    read: async (start, end) => copyBytes(bytes, start, end),
    close: async () => {},
  };
}

/** @internal */
export function blobSource(blob: Blob): ByteSource {
  return {
    label: blob instanceof File ? blob.name : "the blob",
    size: blob.size,
    parallelReads: 1,
    read: async (start, end) => new Uint8Array(await blob.slice(start, end).arrayBuffer()),
    close: async () => {},
  };
}

/**
 * A file that is opened for each read, so that nothing stays open when nobody closes it. A file that
 * changed since the first look is refused: its tensors would be of two files.
 *
 * @internal
 */
export async function fileSource(caller: string, path: string | URL): Promise<ByteSource> {
  const label = String(path);
  const [size, version] = await withFile(caller, path, async (_, found) => found);
  const read = (start: number, end: number) =>
    withFile(caller, path, async (handle, [, now]) => {
      if (now === version) return readRange(caller, handle, label, start, end);
      throw new DmaeError("file", `${caller}: ${label} changed since it was opened; load it again`);
    });
  return { label, size, parallelReads: 1, read, close: async () => {} };
}

type FileHandle = import("node:fs/promises").FileHandle;
type Found = readonly [size: number, version: string];

/** Opens a regular file; what blocks or never ends (a pipe, a device) and folders are errors. */
async function withFile<T>(
  caller: string,
  path: string | URL,
  use: (handle: FileHandle, found: Found) => Promise<T>,
): Promise<T> {
  const { constants, open } = await import("node:fs/promises");
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
  const fail = (problem: string, cause?: unknown): never => {
    throw new DmaeError("file", `${caller}: cannot open ${path}: ${problem}`, {}, { cause });
  };
  const handle = await open(path, flags).catch((cause: Error) => fail(cause.message, cause));
  try {
    const status = await handle.stat({ bigint: true });
    if (!status.isFile())
      return fail(status.isDirectory() ? "it is a folder, not a file" : "it is no regular file");
    const version = `${status.dev} ${status.ino} ${status.size} ${status.mtimeNs}`;
    return await use(handle, [Number(status.size), version]);
  } finally {
    await handle.close();
  }
}

async function readRange(
  caller: string,
  handle: FileHandle,
  label: string,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start);
  const chunk = 1 << 30; // one call reads at most 2 GiB
  for (let filled = 0; filled < bytes.length; ) {
    const length = Math.min(chunk, bytes.length - filled);
    const { bytesRead } = await handle
      .read(bytes, filled, length, start + filled)
      .catch((cause) => {
        throw new DmaeError(
          "file",
          `${caller}: cannot read ${label}: ${cause.message}`,
          {},
          { cause },
        );
      });
    if (bytesRead === 0)
      throw new DmaeError("file", `${caller}: ${label} ends before byte ${end}; it was cut off`);
    filled += bytesRead;
  }
  return bytes;
}
