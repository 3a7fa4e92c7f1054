import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { writeAtomically } from "@dmae/core/files";
import { requireNode } from "../in-node.ts";
import { formatHeader, formatRow } from "./log-format.ts";
import { bytesOfLog, isCompressed, LineSplitter } from "./log-lines.ts";
import { LinesOfImages, LogReader, RowList } from "./log-reader.ts";
import type { LogRow } from "./log-row.ts";
import { rowFault } from "./row-fault.ts";

/** Options of {@link readLog} and {@link readLogRows}. */
export interface ReadLogOptions {
  /** Leaves out a last line that was cut off, instead of throwing; default false. */
  readonly partial?: boolean | undefined;
}

/**
 * Reads a certification log: ours, or one of the original Python tools (`idx label predict radius
 * correct time`, tab-separated); `.gz` files too.
 *
 * @param path file path or URL
 * @returns all rows at once; {@link readLogRows} reads logs that are larger than memory
 * @throws {DmaeError} "file" for a missing or foreign file, a line that does not parse or an image
 *   that occurs twice
 */
export async function readLog(path: string | URL, options: ReadLogOptions = {}): Promise<LogRow[]> {
  checkOptions("readLog", options, { partial: true });
  const list = new RowList(String(path));
  for await (const rows of rowBatches(path, options.partial)) for (const row of rows) list.add(row);
  return list.rows;
}

/**
 * Reads a certification log row by row, so that memory does not grow with the log (but for sixteen bytes
 * an image, which find images that occur twice). Otherwise like {@link readLog}: an error comes where
 * the file has it, so wait for the end before you trust the rows.
 *
 * @param path file path or URL
 * @throws {DmaeError} "file" as {@link readLog}
 * @example
 * let correct = 0;
 * for await (const row of readLogRows("sigma25.tsv")) correct += row.correct;
 */
export async function* readLogRows(
  path: string | URL,
  options: ReadLogOptions = {},
): AsyncGenerator<LogRow, void, void> {
  checkOptions("readLogRows", options, { partial: true });
  for await (const rows of rowBatches(path, options.partial)) for (const row of rows) yield row;
}

/** The rows of a log in pieces, which take less time than one by one. */
export async function* rowBatches(
  path: string | URL,
  partial = false,
): AsyncGenerator<LogRow[], void, void> {
  requireNode("readLog", "files");
  const reader = new LogReader(String(path));
  const splitter = new LineSplitter(String(path));
  for await (const bytes of bytesOfLog(path)) yield readRows(reader, splitter.push(bytes));
  const last = reader.readLast(splitter.end(), partial);
  if (last) yield [last];
}

/** The rows among lines. */
export function readRows(reader: LogReader, lines: readonly string[]): LogRow[] {
  return lines.flatMap((line) => reader.read(line) ?? []);
}

/**
 * Writes rows to a new log, in the field's columns and ours where the rows have them. An existing
 * file is never overwritten, and no part of a log is left where writing fails.
 *
 * @param rows a list, or rows as they come, e.g. of {@link readLogRows} or {@link mergeLogRows}
 * @throws {DmaeError} "argument" for rows that {@link readLog} would refuse: an image that is there twice, a radius that is
 *   none, `correct` that contradicts the prediction; "file" where it cannot be written
 */
export async function writeLog(
  path: string | URL,
  rows: Iterable<LogRow> | AsyncIterable<LogRow>,
): Promise<void> {
  requireNode("writeLog", "files");
  const { fileURLToPath } = await import("node:url");
  const file = path instanceof URL ? fileURLToPath(path) : path;
  const bytes = encoded(logText(rows));
  const content = isCompressed(path) ? await packed(bytes) : bytes;
  await writeAtomically("writeLog", file, content, { replace: false });
}

async function* encoded(texts: AsyncIterable<string>): AsyncGenerator<Uint8Array, void, void> {
  const encoder = new TextEncoder();
  for await (const text of texts) yield encoder.encode(text);
}

async function packed(bytes: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const { createGzip } = await import("node:zlib");
  const { pipeline, Readable } = await import("node:stream");
  return pipeline(Readable.from(bytes), createGzip(), () => {}); // errors come out of the loop that reads it
}

/** Characters of text that are written at once. */
const piece = 1 << 16;

/** The text of a log in pieces; it has the columns that its first row has. */
export async function* logText(
  rows: Iterable<LogRow> | AsyncIterable<LogRow>,
): AsyncGenerator<string, void, void> {
  let [header, text] = ["", ""];
  const written = new LinesOfImages();
  let line = 1;
  for await (const row of rows) {
    checkRow(row, written.add(row.idx, ++line));
    const own = headerOf(row);
    if (header === "") header = text = own;
    if (own !== header) throw mixed(row);
    text += formatRow(row, row.settings !== undefined);
    if (text.length < piece) continue;
    yield text;
    text = "";
  }
  yield header === "" ? formatHeader(false) : text;
}

/** Throws for a row that could not be read again. */
function checkRow(row: LogRow, before: number | undefined): void {
  const { idx } = row;
  const fault =
    before === undefined ? rowFault(row) : `it is there already, in line ${before}; keep one row`;
  if (fault) throw new DmaeError("argument", `writeLog: image ${idx}: ${fault}`, { idx });
}

const headerOf = ({ settings, attacked }: LogRow) =>
  formatHeader(settings !== undefined, attacked !== undefined);

const mixed = ({ idx }: LogRow) =>
  new DmaeError(
    "argument",
    `writeLog: rows of one log must all have the same columns, image ${idx} has others than the first row; write two logs`,
    { idx },
  );
