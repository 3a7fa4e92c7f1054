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

/** A file opened now and read piece by piece. @internal */
export async function fileSource(caller: string, path: string | URL): Promise<ByteSource> {
  const label = String(path);
  const { open } = await import("node:fs/promises");
  const handle = await open(path, "r").catch((cause) => {
    throw new DmaeError("file", `${caller}: cannot open ${label}: ${cause.message}`, {}, { cause });
  });
  try {
    const { size } = await handle.stat();
    const read = (start: number, end: number) => readRange(caller, handle, label, start, end);
    return { label, size, parallelReads: 1, read, close: () => handle.close() };
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

type FileHandle = import("node:fs/promises").FileHandle;

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
