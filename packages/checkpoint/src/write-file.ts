import { DmaeError } from "@dmae/core";
import { removeLeftovers, temporaryName } from "./temporary-files.ts";

/**
 * Writes `parts` to a temporary file beside `path`, flushes it and renames it over `path`. Temporary files
 * that killed processes left of the same `path` go then.
 *
 * @internal
 */
export async function writeAtomically(
  caller: string,
  path: string,
  parts: readonly Uint8Array[],
): Promise<void> {
  const { open, rename, rm } = await import("node:fs/promises");
  const temporary = await temporaryName(path);
  try {
    const file = await open(temporary, "wx");
    try {
      for (const part of parts) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {}); // the first error is the one to report
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("file", `${caller}: cannot write ${path}: ${reason}`, { path }, { cause });
  }
  await syncFolder(path);
  await removeLeftovers(path).catch(() => {}); // the file is written; the next save tries again
}

type FileHandle = import("node:fs/promises").FileHandle;

/** One write may take less than it was given, and at most 2 GiB. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  const chunk = 1 << 26;
  for (let position = 0; position < bytes.length; ) {
    const part = bytes.subarray(position, position + chunk);
    position += (await file.write(part)).bytesWritten;
  }
}

/** Makes the rename itself survive a power cut, where the system allows to flush a folder. */
async function syncFolder(path: string): Promise<void> {
  const { open } = await import("node:fs/promises");
  const { dirname } = await import("node:path");
  try {
    const folder = await open(dirname(path));
    await folder.sync().finally(() => folder.close());
  } catch {
    // Windows cannot open a folder; the rename is still atomic.
  }
}
