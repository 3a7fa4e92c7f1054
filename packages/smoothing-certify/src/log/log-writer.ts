import type { FileHandle } from "node:fs/promises";
import { DmaeError } from "@dmae/core";
import { type FileLock, fileError, lockFile, makeFolder } from "@dmae/core/files";
import { requireNode } from "../in-node.ts";
import { readRows } from "./log-file.ts";
import { formatHeader, formatInvalid, formatRow } from "./log-format.ts";
import { bytesUpTo, isCompressed, LineSplitter } from "./log-lines.ts";
import { LogReader } from "./log-reader.ts";
import type { LogRow, LogSettings } from "./log-row.ts";
import { checkSame } from "./same-settings.ts";

/** A log that is written row by row and survives being killed at any moment. */
export interface LogWriter {
  /** Images whose rows were there when the log was opened. */
  readonly images: ReadonlySet<number>;
  /** Their rows, read from the file again. */
  rows(): AsyncGenerator<LogRow, void, void>;
  /** Appends a row and waits until it is on the disk. */
  append(row: LogRow): Promise<void>;
  /** Says at its end that its rows must not be used: from now on every reader refuses the log. */
  invalidate(reason: string): Promise<void>;
  close(): Promise<void>;
}

const CALLER = "certifyDataset";

/**
 * Opens a log for appending, and reads what is there. A line that was cut off by a crash is moved to
 * `PATH.torn`; nothing else is ever removed. `PATH.lock` keeps other writers away until it is closed.
 *
 * @param settings what the new rows depend on
 * @throws {DmaeError} "resume" where the log's rows depend on something else, or another process writes
 *   to it; "file" where it cannot be written
 */
export async function openLog(path: string | URL, settings: LogSettings): Promise<LogWriter> {
  const file = await pathOf(path);
  const lock = await lockLog(file);
  const { open } = await import("node:fs/promises");
  let handle: FileHandle | undefined;
  const close = async () => {
    await handle?.close();
    await lock.release();
  };
  try {
    handle = await open(file, "a+");
    const images = await prepare(handle, file, settings);
    const { size } = await handle.stat();
    const opened = handle;
    const rows = () => rowsUpTo(opened, file, size);
    return { images, rows, ...writer(opened, file, lock), close };
  } catch (error) {
    await close();
    throw fileError(CALLER, "write", file, error);
  }
}

/**
 * Keeps other writers away from a log, whose folder is made where it is missing.
 *
 * @throws {DmaeError} as {@link openLog}, but for what is in the log
 */
export async function lockLog(file: string): Promise<FileLock> {
  if (isCompressed(file))
    throw new DmaeError(
      "argument",
      `certifyDataset: a log is written line by line, not compressed; leave .gz out of ${file}`,
      { file },
    );
  const { dirname } = await import("node:path");
  await checkRegular(file);
  await makeFolder(CALLER, dirname(file));
  return lockFile(`${file}.lock`, { caller: CALLER, guarded: file });
}

/** The path of a log. */
export async function pathOf(log: string | URL): Promise<string> {
  requireNode(CALLER, "logs");
  const { fileURLToPath } = await import("node:url");
  return log instanceof URL ? fileURLToPath(log) : log;
}

/** Checks that a log could be opened, and leaves nothing behind. */
export async function tryLog(path: string): Promise<void> {
  const { access, constants } = await import("node:fs/promises");
  const { dirname } = await import("node:path");
  await checkRegular(path);
  try {
    await makeFolder(CALLER, dirname(path));
    const lock = await lockFile(`${path}.lock`, { caller: CALLER, guarded: path });
    await lock.release();
    await access(path, constants.W_OK).catch((cause) => {
      if (cause.code !== "ENOENT") throw cause;
    });
  } catch (cause) {
    throw fileError(CALLER, "write", path, cause);
  }
}

/** A device or a pipe cannot be read back, a folder not written: neither is locked nor touched. */
async function checkRegular(file: string): Promise<void> {
  const { stat } = await import("node:fs/promises");
  const found = await stat(file).catch(() => undefined);
  if (!found || found.isFile()) return;
  throw new DmaeError(
    "file",
    `${CALLER}: a log must be a file, got ${file}, which is ${found.isDirectory() ? "a folder; name a file in it" : "a device or a pipe"}`,
    { file },
  );
}

/** Makes a log ready to be appended to; returns the images that it has. */
async function prepare(
  handle: FileHandle,
  file: string,
  settings: LogSettings,
): Promise<Set<number>> {
  if (await isNew(handle, headerOf(settings))) {
    await handle.truncate(0);
    await handle.appendFile(headerOf(settings));
    await handle.sync();
    return new Set();
  }
  const reader = new LogReader(file);
  const splitter = new LineSplitter(file);
  const images = new Set<number>();
  const checked = new Set<LogSettings | undefined>(); // most rows share one object
  const take = (rows: readonly LogRow[]) => {
    for (const row of rows) {
      if (!checked.has(row.settings)) checkSame(file, row, settings);
      checked.add(row.settings);
      images.add(row.idx);
    }
  };
  for await (const bytes of bytesUpTo(handle, (await handle.stat()).size))
    take(readRows(reader, splitter.push(bytes)));
  const last = splitter.end();
  const isTorn = last !== "" && !reader.isComplete(last);
  if (last !== "" && !isTorn) take(readRows(reader, [last]));
  if (images.size === 0) checkHeader(file, reader.header ?? "", settings);
  if (isTorn) await moveTorn(handle, file, last, splitter.completeBytes);
  else if (last !== "") await handle.appendFile("\n");
  await handle.sync();
  return images;
}

/** Whether there is nothing but a first line, perhaps cut off: there is nothing in it to lose. */
async function isNew(handle: FileHandle, header: string): Promise<boolean> {
  const { size } = await handle.stat();
  if (size > header.length) return false;
  const { buffer } = await handle.read(Buffer.alloc(size), 0, size, 0);
  return header.startsWith(buffer.toString("utf8"));
}

/** Whether there is more than the beginning of a first line, after which a process may have been killed. */
export async function hasRows(file: string, settings: LogSettings): Promise<boolean> {
  const { open } = await import("node:fs/promises");
  const handle = await open(file);
  try {
    return !(await isNew(handle, headerOf(settings)));
  } finally {
    await handle.close();
  }
}

/** Repairs the end of a log after a crash. */
async function moveTorn(
  handle: FileHandle,
  file: string,
  torn: string,
  completeBytes: number,
): Promise<void> {
  const { appendFile } = await import("node:fs/promises");
  await appendFile(`${file}.torn`, `${torn}\n`, { flush: true } as object);
  await handle.truncate(completeBytes);
}

async function* rowsUpTo(
  handle: FileHandle,
  file: string,
  end: number,
): AsyncGenerator<LogRow, void, void> {
  const reader = new LogReader(file);
  const splitter = new LineSplitter(file);
  for await (const bytes of bytesUpTo(handle, end))
    for (const row of readRows(reader, splitter.push(bytes))) yield row;
}

const headerOf = ({ attack }: LogSettings) => formatHeader(true, attack !== undefined);

function checkHeader(file: string, header: string, settings: LogSettings): void {
  if (`${header}\n` === headerOf(settings)) return;
  throw new DmaeError(
    "resume",
    `certifyDataset: ${file} was begun by another program, with other columns; write to another log`,
    { file },
  );
}

function writer(
  handle: FileHandle,
  file: string,
  lock: FileLock,
): Pick<LogWriter, "append" | "invalidate"> {
  const write = async (line: string) => {
    await lock.check();
    try {
      await handle.appendFile(line);
      await handle.datasync();
    } catch (cause) {
      throw fileError(CALLER, "write", file, cause);
    }
  };
  return {
    append: (row) => write(formatRow(row, true)),
    invalidate: (reason) => write(formatInvalid(reason)),
  };
}
