import type { FileHandle } from "node:fs/promises";
import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { type FileLock, fileError, lockFile, makeFolder, writeAtomically } from "@dmae/core/files";
import { readRegularFile } from "../files.ts";
import { requireNode } from "../in-node.ts";
import { formatHeader, formatInvalid, formatRow, parseLog, splitTorn } from "./log-format.ts";
import type { LogRow, LogSettings } from "./log-row.ts";

/**
 * Reads a certification log: ours, or one of the original Python tools (`idx label predict radius
 * correct time`, tab-separated); `.gz` files too.
 *
 * @param path file path or URL
 * @param options `partial`: leave out a last line that was cut off, instead of throwing
 * @throws {DmaeError} "file" for a missing or foreign file, a line that does not parse or an image
 *   that occurs twice
 */
export async function readLog(
  path: string | URL,
  options: { readonly partial?: boolean } = {},
): Promise<LogRow[]> {
  checkOptions("readLog", options, { partial: true });
  const { partial = false } = options;
  return parseLog(await readText("readLog", path), String(path), partial);
}

/**
 * Writes rows to a new log, in the field's columns and ours where the rows have them. An existing
 * file is never overwritten.
 */
export async function writeLog(path: string | URL, rows: readonly LogRow[]): Promise<void> {
  requireNode("writeLog", "files");
  const { gzipSync } = await import("node:zlib");
  const extended = rows.some((row) => row.settings !== undefined);
  const text = formatHeader(extended) + rows.map((row) => formatRow(row, extended)).join("");
  const content = isCompressed(path) ? [gzipSync(text)] : text;
  await writeAtomically("writeLog", await pathOf(path), content, { replace: false });
}

async function pathOf(path: string | URL): Promise<string> {
  const { fileURLToPath } = await import("node:url");
  return path instanceof URL ? fileURLToPath(path) : path;
}

const isCompressed = (path: string | URL) => String(path).endsWith(".gz");

/** Longest text that JavaScript holds, and how many times its size a compressed log may unpack to. */
const maxText = 2 ** 29 - 24;
const maxRatio = 100;

async function readText(caller: string, path: string | URL): Promise<string> {
  requireNode(caller, "files");
  const { gunzipSync } = await import("node:zlib");
  try {
    const bytes = Buffer.from((await readRegularFile(path, maxText)).buffer);
    const maxOutputLength = Math.min(maxText, 2 ** 24 + maxRatio * bytes.length);
    return (isCompressed(path) ? gunzipSync(bytes, { maxOutputLength }) : bytes).toString("utf8");
  } catch (cause) {
    throw fileError(caller, "read", path, cause);
  }
}

/** A log that is written row by row and survives being killed at any moment. */
export interface LogWriter {
  /** Rows that were there when the log was opened. */
  readonly rows: readonly LogRow[];
  /** Appends a row and waits until it is on the disk. */
  append(row: LogRow): Promise<void>;
  /** Says at its end that its rows must not be used: from now on every reader refuses the log. */
  invalidate(reason: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a log for appending, and reads what is there. A line that was cut off by a crash is moved to
 * `PATH.torn`; nothing else is ever removed. `PATH.lock` keeps other writers away until it is closed.
 *
 * @param settings what the new rows depend on
 * @throws {DmaeError} "resume" where the log's rows depend on something else, or another process writes
 *   to it; "file" where it cannot be written
 */
export async function openLog(path: string | URL, settings: LogSettings): Promise<LogWriter> {
  requireNode("certifyDataset", "logs");
  if (isCompressed(path))
    throw new DmaeError(
      "argument",
      `certifyDataset: a log is written line by line, not compressed; leave .gz out of ${path}`,
      { file: String(path) },
    );
  const { open } = await import("node:fs/promises");
  const { dirname } = await import("node:path");
  const file = await pathOf(path);
  await checkRegular(file);
  await makeFolder(CALLER, dirname(file));
  const lock = await lockFile(`${file}.lock`, { caller: CALLER, guarded: file });
  let handle: FileHandle | undefined;
  const close = async () => {
    await handle?.close();
    await lock.release();
  };
  try {
    handle = await open(file, "a+");
    const rows = await prepare(handle, file, settings);
    return { rows, ...writer(handle, file, lock), close };
  } catch (error) {
    await close();
    throw fileError(CALLER, "write", file, error);
  }
}

const CALLER = "certifyDataset";

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

/** Reads what is there and makes it ready to be appended to. */
async function prepare(handle: FileHandle, file: string, settings: LogSettings) {
  const text = await handle.readFile("utf8");
  // The first line, perhaps cut off: there is nothing in it to lose.
  const isNew = formatHeader(true).startsWith(text);
  if (isNew) {
    await handle.truncate(0);
    await handle.appendFile(formatHeader(true));
  }
  const rows = isNew ? [] : await recover(handle, file, text);
  for (const row of rows) checkSame(file, row, settings);
  if (!isNew && rows.length === 0) checkHeader(file, text);
  await handle.sync();
  return rows;
}

function checkHeader(file: string, text: string): void {
  if (text.replace("\r", "").startsWith(formatHeader(true))) return;
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

/** Repairs the end of the file after a crash and returns its rows. */
async function recover(handle: FileHandle, file: string, text: string): Promise<readonly LogRow[]> {
  const { appendFile } = await import("node:fs/promises");
  const { complete, torn } = splitTorn(text);
  const rows = complete === "" ? [] : parseLog(complete, file);
  if (torn !== "") {
    await appendFile(`${file}.torn`, `${torn}\n`, { flush: true } as object);
    await handle.truncate(Buffer.byteLength(complete));
  } else if (text !== complete) await handle.appendFile("\n");
  return rows;
}

/** What fingerprints are of. */
function explain(changed: readonly string[]): string {
  const of = {
    classifier: "the model's files, its preprocessing and its classes on 64 probe images",
    data: "the data set's size, shape and some of its images",
  };
  return Object.entries(of)
    .filter(([name]) => changed.includes(name))
    .map(([name, what]) => `; ${name} is a fingerprint of ${what}`)
    .join("");
}

function checkSame(file: string, row: LogRow, settings: LogSettings): void {
  const old = row.settings;
  if (!old)
    throw new DmaeError(
      "resume",
      `certifyDataset: ${file} does not say with which settings it was made; write to another log`,
      { file },
    );
  if (settings.classifier !== undefined && old.classifier === undefined)
    throw new DmaeError(
      "resume",
      `certifyDataset: ${file} does not say which classifier made it; logs of older versions can be analysed, not continued; write to another log`,
      { file },
    );
  const names = new Set([...Object.keys(old), ...Object.keys(settings)]);
  const changed = [...names].filter((name) => old[name] !== settings[name]);
  if (changed.length === 0) return;
  const list = changed
    .map((name) => `${name} ${old[name]} there, ${settings[name]} now`)
    .join("; ");
  throw new DmaeError(
    "resume",
    `certifyDataset: ${file} was made with other settings (${list}); write to another log${explain(changed)}`,
    { file, changed },
  );
}
