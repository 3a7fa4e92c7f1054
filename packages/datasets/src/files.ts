import { open, readFile, stat } from "node:fs/promises";
import { DmaeError } from "@dmae/core";

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

/** The whole file, if it is a file of at most `maxBytes`. */
export async function readWhole(caller: string, file: string, maxBytes: number): Promise<Buffer> {
  const size = await fileSize(caller, file);
  if (size > maxBytes)
    throw fileError(caller, file, 0, `at most ${maxBytes} bytes (maxBytes)`, `${size} bytes`);
  return readFile(file);
}

/** Size of a file in bytes; an error for a missing file or a folder. */
export async function fileSize(caller: string, file: string): Promise<number> {
  const status = await stat(file).catch((cause: unknown) => {
    throw new DmaeError(
      "file",
      `${caller}: cannot read ${file}: ${reason(cause)}`,
      { file },
      { cause },
    );
  });
  if (!status.isFile()) throw new DmaeError("file", `${caller}: ${file} is not a file`, { file });
  return status.size;
}

/** Bytes `offset … offset + length` of a file; an error if the file ends before. */
export async function readSlice(
  caller: string,
  file: string,
  offset: number,
  length: number,
): Promise<Buffer> {
  const handle = await open(file, "r").catch((cause: unknown) => {
    throw new DmaeError(
      "file",
      `${caller}: cannot read ${file}: ${reason(cause)}`,
      { file },
      { cause },
    );
  });
  try {
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await handle.read(buffer, 0, length, offset);
    if (bytesRead < length)
      throw fileError(
        caller,
        file,
        offset + bytesRead,
        `${length - bytesRead} more bytes`,
        "the end of the file",
      );
    return buffer;
  } finally {
    await handle.close();
  }
}

/** The message of whatever was thrown, on one line. */
export function reason(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0]!;
}
