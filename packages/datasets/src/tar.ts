import { type FileHandle, open } from "node:fs/promises";
import { fileError, fileSize } from "./files.ts";

/** A file inside a tar file. */
export interface TarEntry {
  /** Path inside the tar file. */
  readonly name: string;
  /** First byte of the contents. */
  readonly offset: number;
  /** Bytes of contents. */
  readonly size: number;
}

const block = 512;
/** Largest extended header (a long name) that is read. */
const maxHeader = 65536;

/**
 * The files in a tar file, in order, without reading their contents (ustar, GNU long names, pax paths and
 * sizes; links and devices are passed over).
 *
 * @throws DmaeError "file" with the offset of a damaged header or of contents that are cut off
 */
export async function* tarEntries(caller: string, file: string): AsyncGenerator<TarEntry> {
  await fileSize(caller, file); // an error for what is no regular file, before it is opened for long
  const handle = await open(file, "r");
  try {
    yield* readEntries(caller, file, handle);
  } finally {
    await handle.close();
  }
}

async function* readEntries(
  caller: string,
  file: string,
  handle: FileHandle,
): AsyncGenerator<TarEntry> {
  const { size: end } = await handle.stat();
  const header = Buffer.alloc(block);
  let extended: { path?: string; size?: number } = {};
  for (let position = 0; position < end; ) {
    const { bytesRead } = await handle.read(header, 0, block, position);
    if (bytesRead < block)
      throw fileError(
        caller,
        file,
        position + bytesRead,
        "a header of 512 bytes",
        "the end of the file",
      );
    if (header.every((byte) => byte === 0)) return;
    const entry = parseHeader(caller, file, header, position);
    const describes = entry.type === "L" || entry.type === "x"; // the entry that follows
    const size = describes ? entry.size : (extended.size ?? entry.size);
    const offset = position + block;
    if (offset + size > end)
      throw fileError(
        caller,
        file,
        end,
        `${size} bytes of ${entry.name}`,
        `the end of the file after ${end - offset}`,
      );
    if (describes) {
      if (size > maxHeader)
        throw fileError(
          caller,
          file,
          position + 124,
          `an extended header of at most ${maxHeader} bytes`,
          `${size}`,
        );
      const contents = Buffer.alloc(size);
      await handle.read(contents, 0, size, offset);
      extended =
        entry.type === "L"
          ? { ...extended, path: cString(contents) }
          : { ...extended, ...parsePax(caller, file, contents, offset) };
    } else {
      if (entry.type === "0") yield { name: extended.path ?? entry.name, offset, size };
      extended = {};
    }
    position = offset + Math.ceil(size / block) * block;
  }
}

function parseHeader(caller: string, file: string, header: Buffer, position: number) {
  const stored = parseOctal(header, 148, 8);
  let sum = 8 * 32;
  for (const [i, byte] of header.entries()) if (i < 148 || i >= 156) sum += byte;
  if (stored !== sum)
    throw fileError(
      caller,
      file,
      position,
      "a tar header",
      `a checksum of ${stored} instead of ${sum}`,
    );
  const size = parseSize(header);
  if (size === undefined)
    throw fileError(
      caller,
      file,
      position + 124,
      "a size in octal digits",
      header.toString("latin1", 124, 136),
    );
  const ustar = header.toString("latin1", 257, 262) === "ustar";
  const prefix = ustar ? cString(header.subarray(345, 500)) : "";
  const name = cString(header.subarray(0, 100));
  const flag = header[156]!;
  const type = flag === 0 || flag === 0x30 || flag === 0x37 ? "0" : String.fromCharCode(flag);
  return { name: prefix ? `${prefix}/${name}` : name, size, type };
}

/** Octal digits, or a binary number after a first byte of 0x80 (GNU). */
function parseSize(header: Buffer): number | undefined {
  if (header[124] !== 0x80) return parseOctal(header, 124, 12);
  const size = Number(header.readBigUInt64BE(128));
  return Number.isSafeInteger(size) ? size : undefined;
}

function parseOctal(header: Buffer, start: number, length: number): number | undefined {
  const text = header
    .toString("latin1", start, start + length)
    .replace(/[\0 ]+$/, "")
    .trimStart();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

/** `path` and `size` of a pax header: records `length key=value\n`. */
function parsePax(caller: string, file: string, contents: Buffer, offset: number) {
  const found: { path?: string; size?: number } = {};
  for (let start = 0; start < contents.length; ) {
    const [, digits] = /^(\d{1,6}) /.exec(contents.toString("latin1", start, start + 8)) ?? [];
    const length = Number(digits);
    const record = contents.subarray(start, start + length);
    if (!digits || length <= digits.length + 1 || record.length < length || record.at(-1) !== 10)
      throw fileError(
        caller,
        file,
        offset + start,
        "a pax record, length key=value",
        `${record.length} bytes`,
      );
    const [, key, value] = /^\d+ ([^=]*)=(.*)\n$/s.exec(record.toString("utf8")) ?? [];
    if (key === "path" && value?.includes("\0"))
      throw fileError(caller, file, offset + start, "a path without zero bytes", "one with them");
    if (key === "path" && value) found.path = value;
    if (key === "size" && value && /^\d{1,15}$/.test(value)) found.size = Number(value);
    start += length;
  }
  return found;
}
