import type { FileHandle } from "node:fs/promises";
import { DmaeError } from "@dmae/core";
import { standIn } from "@dmae/core/checks";

/** Largest number of bytes that a loader keeps in memory unless told otherwise: 2 GiB - 1. */
export const defaultMaxBytes = 2 ** 31 - 1;

/** A "file" error that names the file, the byte offset and what was expected there. */
export function fileError(
  caller: string,
  file: string,
  offset: number,
  expected: string,
  received: string,
  cause?: unknown,
): DmaeError {
  return new DmaeError(
    "file",
    `${caller}: ${file}, byte ${offset}: expected ${expected}, got ${received}`,
    { file, offset, expected, received },
    cause === undefined ? undefined : { cause },
  );
}

/** The whole file, if it is a file of at most `maxBytes`, and not what a failed download left in its place. */
export async function readWhole(caller: string, file: string, maxBytes: number): Promise<Buffer> {
  const bytes = await withFile(caller, file, async (handle, size) => {
    if (size > maxBytes)
      throw fileError(caller, file, 0, `at most ${maxBytes} bytes (maxBytes)`, `${size} bytes`);
    return readBytes(caller, file, handle, 0, size);
  });
  refuseStandIn(caller, file, bytes);
  return bytes;
}

/** Size of a file in bytes; an error for a missing file, a folder, a Git LFS pointer or a web page. */
export async function fileSize(caller: string, file: string): Promise<number> {
  return withFile(caller, file, async (handle, size) => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0);
    refuseStandIn(caller, file, buffer.subarray(0, bytesRead));
    return size;
  });
}

/** Bytes `offset … offset + length` of a file, at most `maxBytes`; an error if the file ends before. */
export async function readSlice(
  caller: string,
  file: string,
  offset: number,
  length: number,
  maxBytes: number,
): Promise<Buffer> {
  if (length > maxBytes)
    throw fileError(caller, file, offset, `at most ${maxBytes} bytes (maxBytes)`, `${length}`);
  return withFile(caller, file, (handle) => readBytes(caller, file, handle, offset, length));
}

/** Opens a regular file; folders, pipes and devices, which block or never end, are errors. */
export async function withFile<T>(
  caller: string,
  file: string,
  use: (handle: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  const { constants, open } = await import("node:fs/promises"); // here, so that the rest runs in browsers
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
  const handle = await open(file, flags).catch((cause: unknown) => {
    throw unreadable(caller, file, cause);
  });
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw new DmaeError("file", `${caller}: ${file} is not a file`, { file });
    return await use(handle, status.size);
  } catch (cause) {
    throw DmaeError.isInstance(cause) ? cause : unreadable(caller, file, cause);
  } finally {
    await handle.close();
  }
}

/** Throws if the bytes are of a Git LFS pointer or a web page. */
export function refuseStandIn(caller: string, file: string, start: Uint8Array): void {
  const other = standIn(start);
  if (other) throw new DmaeError("file", `${caller}: ${file} is ${other}`, { file });
}

async function readBytes(
  caller: string,
  file: string,
  handle: FileHandle,
  offset: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled);
    filled += bytesRead;
    if (bytesRead === 0)
      throw fileError(
        caller,
        file,
        offset + filled,
        `${length - filled} more bytes`,
        "the end of the file",
      );
  }
  return buffer;
}

function unreadable(caller: string, file: string, cause: unknown): DmaeError {
  return new DmaeError(
    "file",
    `${caller}: cannot read ${file}: ${reason(cause)}`,
    { file },
    { cause },
  );
}

/** The message of whatever was thrown, on one line. */
export function reason(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0]!;
}
