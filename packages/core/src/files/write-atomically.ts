import { DmaeError } from "../errors.ts";
import { fileError } from "./file-error.ts";
import { removeLeftovers, temporaryName } from "./temporary-files.ts";

/**
 * Writes a file in one step that cannot be seen half done: into a temporary file of the same folder,
 * flushed to the disk, then renamed over `path` (over the file that a link leads to). Temporary files that
 * killed processes left of the same file are removed then. A device or a pipe is written to directly. Node only.
 *
 * @param caller function that the user called, for the error
 * @param path file to create or replace; its folder must exist
 * @param content the text (UTF-8), or the file's bytes in pieces
 * @param options `replace: false` refuses a `path` that exists; `mode` is the new file's
 * @throws {DmaeError} "file" where the file cannot be written; `path` is then as it was before
 * @internal
 */
export async function writeAtomically(
  caller: string,
  path: string,
  content: string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { replace = true, mode = 0o666 }: { replace?: boolean; mode?: number } = {},
): Promise<void> {
  const parts = typeof content === "string" ? [new TextEncoder().encode(content)] : content;
  const target = await targetOf(caller, path, replace);
  if (target === undefined) return writeThrough(caller, path, parts);
  const { open, rename, rm } = await import("node:fs/promises");
  const temporary = await temporaryName(target);
  try {
    const file = await open(temporary, "wx", mode);
    try {
      for await (const part of parts) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
    await (replace ? rename(temporary, target) : giveName(caller, temporary, target));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {}); // the first error is the one to report
    throw isOfSystem(cause) ? fileError(caller, "write", path, cause) : cause;
  }
  await syncFolder(target);
  await removeLeftovers(target).catch(() => {}); // the file is written; the next save tries again
}

/** The file to replace, behind links; undefined for a device or a pipe, which a rename would remove. */
async function targetOf(
  caller: string,
  path: string,
  replace: boolean,
): Promise<string | undefined> {
  const { realpath, stat } = await import("node:fs/promises");
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return path;
  if (found.isDirectory())
    throw new DmaeError(
      "file",
      `${caller}: ${path} must be a file, got a folder; name a file in it`,
      {
        file: path,
      },
    );
  if (!replace) throw taken(caller, path);
  return found.isFile() ? realpath(path) : undefined;
}

async function writeThrough(
  caller: string,
  path: string,
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const { open } = await import("node:fs/promises");
  try {
    const file = await open(path, "w");
    try {
      for await (const part of parts) await writeAll(file, part);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw isOfSystem(cause) ? fileError(caller, "write", path, cause) : cause;
  }
}

/** Whether an error is of the file system, not of what makes the content. */
const isOfSystem = (error: unknown) =>
  typeof (error as NodeJS.ErrnoException)?.syscall === "string";

const taken = (caller: string, path: string) =>
  new DmaeError(
    "file",
    `${caller}: ${path} exists already and is never overwritten; choose another name`,
    { file: path },
  );

/** Names a file unless the name is taken. */
async function giveName(caller: string, temporary: string, path: string): Promise<void> {
  const { link, lstat, rename, rm } = await import("node:fs/promises");
  try {
    await link(temporary, path);
    await rm(temporary);
  } catch {
    const isTaken = await lstat(path).then(
      () => true,
      () => false,
    );
    if (isTaken) throw taken(caller, path);
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
