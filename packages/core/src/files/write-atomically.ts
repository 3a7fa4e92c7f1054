import { DmaeError } from "../errors.ts";
import { fileError } from "./file-error.ts";
import { removeLeftovers, temporaryName } from "./temporary-files.ts";

/**
 * Writes a file in one step that cannot be seen half done: into a temporary file of the same folder,
 * flushed to the disk, then renamed over `path`. Temporary files that killed processes left of the same
 * `path` are removed then. Node only.
 *
 * @param caller function that the user called, for the error
 * @param path file to create or replace; its folder must exist
 * @param content the text (UTF-8), or the file's bytes in pieces
 * @param replace false refuses a `path` that exists
 * @throws {DmaeError} "file" where the file cannot be written; `path` is then as it was before
 * @internal
 */
export async function writeAtomically(
  caller: string,
  path: string,
  content: string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  replace = true,
): Promise<void> {
  const { open, rename, rm } = await import("node:fs/promises");
  const temporary = await temporaryName(path);
  const parts = typeof content === "string" ? [new TextEncoder().encode(content)] : content;
  try {
    const file = await open(temporary, "wx");
    try {
      for await (const part of parts) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
    await (replace ? rename(temporary, path) : giveName(caller, temporary, path));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {}); // the first error is the one to report
    throw fileError(caller, "write", path, cause);
  }
  await syncFolder(path);
  await removeLeftovers(path).catch(() => {}); // the file is written; the next save tries again
}

/** Names a file unless the name is taken. */
async function giveName(caller: string, temporary: string, path: string): Promise<void> {
  const { link, lstat, rename, rm } = await import("node:fs/promises");
  try {
    await link(temporary, path);
    await rm(temporary);
  } catch (cause) {
    const isTaken = await lstat(path).then(
      () => true,
      () => false,
    );
    if (isTaken)
      throw new DmaeError(
        "file",
        `${caller}: ${path} exists already and is never overwritten; choose another name`,
        { file: path },
        { cause },
      );
    await rename(temporary, path); // a file system without links, or an error that rename reports
  }
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
