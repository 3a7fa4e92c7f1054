import { DmaeError } from "@dmae/core";
import type { ByteSource } from "./byte-source.ts";
import { decodeUtf8 } from "./json.ts";

/** One uncompressed file in a zip archive. @internal */
export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  readonly crc: number;
  /** Where its local header starts. */
  readonly start: number;
  /** Where whatever follows starts: the next entry or the central directory. */
  readonly end: number;
}

/** The entries of an archive by name. @internal */
export interface ZipDirectory {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** False where the archive was written without checksums (`torch.serialization.set_crc32_options`). */
  readonly hasChecksums: boolean;
}

const maxEntries = 1_000_000;

/** Reads the central directory (also zip64) from the end of the file. @internal */
export async function readZipDirectory(
  caller: string,
  source: ByteSource,
  maxHeader: number,
): Promise<ZipDirectory> {
  const tailStart = Math.max(0, source.size - 65557); // 22 bytes and the longest comment
  const tail = view(await source.read(tailStart, source.size));
  const { start, length, count } = await locate(caller, source, tail, tailStart);
  if (length > maxHeader || count > maxEntries || start + length > source.size)
    throw damaged(caller, `a directory of ${count} entries in ${length} bytes at ${start}`);
  const directory = view(await source.read(start, start + length));
  return finish(caller, parseEntries(caller, directory, count), start);
}

interface Location {
  readonly start: number;
  readonly length: number;
  readonly count: number;
}

async function locate(
  caller: string,
  source: ByteSource,
  tail: DataView,
  tailStart: number,
): Promise<Location> {
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw damaged(caller, "no end record, as when a download or a copy was cut off");
  const count = tail.getUint16(end + 10, true);
  const length = tail.getUint32(end + 12, true);
  const start = tail.getUint32(end + 16, true);
  if (end < 20 || tail.getUint32(end - 20, true) !== 0x07064b50) return { start, length, count };
  const at = toNumber(caller, tail.getBigUint64(end - 12, true));
  if (at + 56 > tailStart + end) throw damaged(caller, "a zip64 end record outside the file");
  const record = view(await source.read(at, at + 56));
  if (record.getUint32(0, true) !== 0x06064b50) throw damaged(caller, "no zip64 end record");
  return {
    count: toNumber(caller, record.getBigUint64(32, true)),
    length: toNumber(caller, record.getBigUint64(40, true)),
    start: toNumber(caller, record.getBigUint64(48, true)),
  };
}

type OpenEntry = Omit<ZipEntry, "end">;

function parseEntries(caller: string, directory: DataView, count: number): OpenEntry[] {
  const entries: OpenEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > directory.byteLength || directory.getUint32(at, true) !== 0x02014b50)
      throw damaged(caller, `no directory record ${i} of ${count}`);
    const nameLength = directory.getUint16(at + 28, true);
    const extraLength = directory.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + directory.getUint16(at + 32, true);
    if (next > directory.byteLength) throw damaged(caller, `a cut directory record ${i}`);
    entries.push(parseEntry(caller, directory, at, nameLength, extraLength));
    at = next;
  }
  if (at !== directory.byteLength) throw damaged(caller, "a directory longer than its records");
  return entries;
}

function parseEntry(
  caller: string,
  directory: DataView,
  at: number,
  nameLength: number,
  extraLength: number,
): OpenEntry {
  const bytes = new Uint8Array(directory.buffer, directory.byteOffset, directory.byteLength);
  const name = decodeUtf8(bytes.subarray(at + 46, at + 46 + nameLength));
  if (name === undefined) throw damaged(caller, "an entry name that is not UTF-8");
  const method = directory.getUint16(at + 10, true);
  const flags = directory.getUint16(at + 8, true);
  if (method !== 0 || (flags & 1) !== 0)
    throw new DmaeError(
      "unsupported",
      `${caller}: archive entry "${name}" is compressed or encrypted, which torch.save never does; unpack the file and pack it with "zip -0 -r", or save it again with PyTorch`,
      { entry: name, method, flags },
    );
  const wide = { size: 0xffffffff, packed: 0xffffffff, start: 0xffffffff };
  const size = directory.getUint32(at + 24, true);
  const packed = directory.getUint32(at + 20, true);
  const start = directory.getUint32(at + 42, true);
  const extra = zip64Values(caller, directory, at + 46 + nameLength, extraLength);
  const take = (value: number, sentinel: number) => {
    if (value !== sentinel) return value;
    const next = extra.shift();
    if (next === undefined) throw damaged(caller, `no zip64 size for "${name}"`);
    return next;
  };
  const sizes = [take(size, wide.size), take(packed, wide.packed)];
  if (sizes[0] !== sizes[1]) throw damaged(caller, `two sizes for the stored entry "${name}"`);
  const crc = directory.getUint32(at + 16, true);
  return { name, size: sizes[0]!, crc, start: take(start, wide.start) };
}

/** The 8-byte values of the zip64 extra field: size, packed size, offset, as far as present. */
function zip64Values(caller: string, directory: DataView, start: number, length: number): number[] {
  for (let at = start; at + 4 <= start + length; ) {
    const size = directory.getUint16(at + 2, true);
    if (at + 4 + size > start + length) throw damaged(caller, "a cut extra field");
    if (directory.getUint16(at, true) === 1)
      return Array.from({ length: Math.min(3, size >> 3) }, (_, i) =>
        toNumber(caller, directory.getBigUint64(at + 4 + 8 * i, true)),
      );
    at += 4 + size;
  }
  return [];
}

/** Orders the entries, rejects overlaps and duplicates, fills in where each one's room ends. */
function finish(caller: string, open: readonly OpenEntry[], directoryStart: number): ZipDirectory {
  const sorted = [...open].sort((a, b) => a.start - b.start);
  const entries = new Map<string, ZipEntry>();
  for (const [i, entry] of sorted.entries()) {
    const end = sorted[i + 1]?.start ?? directoryStart;
    if (entry.start + 30 + entry.size > end)
      throw damaged(caller, `entry "${entry.name}" reaching into what follows it`);
    if (entries.has(entry.name)) throw damaged(caller, `two entries named "${entry.name}"`);
    entries.set(entry.name, { ...entry, end });
  }
  return { entries, hasChecksums: open.some(({ crc }) => crc !== 0) };
}

function toNumber(caller: string, value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(caller, `an offset of ${value}`);
  return Number(value);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @internal */
export function damaged(caller: string, what: string): DmaeError {
  return new DmaeError("file", `${caller}: the archive is damaged: it has ${what}`);
}
