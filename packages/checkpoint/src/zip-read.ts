import type { ByteSource } from "./byte-source.ts";
import { crc32 } from "./crc32.ts";
import { damaged, readZipDirectory, type ZipEntry } from "./zip-directory.ts";

/** An archive of uncompressed files whose contents are read by range and verified. @internal */
export interface ZipArchive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** Bytes `from … to - 1` of an entry; the first read of it verifies the checksum of all of it. */
  read(entry: ZipEntry, from: number, to: number): Promise<Uint8Array>;
}

/** Pieces in which an entry goes by of which only a part is wanted. */
const chunk = 1 << 24;

/** Entries up to here are read together with their header; larger ones without a copy. */
const smallEntry = 1 << 16;

/** @internal */
export async function openZip(
  caller: string,
  source: ByteSource,
  maxHeader: number,
): Promise<ZipArchive> {
  const { entries, hasChecksums } = await readZipDirectory(caller, source, maxHeader);
  const verified = new Map<ZipEntry, number>(); // entry -> where its data start
  const verify = (entry: ZipEntry, crc: number, start: number) => {
    if (hasChecksums && crc !== entry.crc)
      throw damaged(caller, `another checksum for "${entry.name}" than its directory says`);
    verified.set(entry, start);
  };
  const crcOf = (bytes: Uint8Array, previous?: number) =>
    hasChecksums ? crc32(bytes, previous) : 0;

  const read = async (entry: ZipEntry, from: number, to: number) => {
    const known = verified.get(entry);
    if (known !== undefined) return source.read(known + from, known + to);
    const { start, small } = await readStart(caller, source, entry);
    if (small) {
      verify(entry, crcOf(small), start);
      return small.slice(from, to);
    }
    if (from === 0 && to === entry.size) {
      const whole = await source.read(start, start + entry.size);
      verify(entry, crcOf(whole), start);
      return whole;
    }
    const { part, crc } = await readPart(source, start, entry.size, from, to, crcOf);
    verify(entry, crc, start);
    return part;
  };
  return { entries, read };
}

/** Where an entry's data start, and the data if they are small. */
async function readStart(
  caller: string,
  source: ByteSource,
  entry: ZipEntry,
): Promise<{ start: number; small: Uint8Array | undefined }> {
  const isSmall = entry.size <= smallEntry;
  const end = isSmall ? entry.end : entry.start + 4096;
  const first = await source.read(entry.start, Math.min(end, entry.end, entry.start + chunk));
  const offset = dataOffset(caller, entry, first);
  const hasAll = isSmall && offset + entry.size <= first.length;
  return {
    start: entry.start + offset,
    small: hasAll ? first.subarray(offset, offset + entry.size) : undefined,
  };
}

/** Reads data from front to back in pieces, for the checksum, keeping only what was asked for. */
async function readPart(
  source: ByteSource,
  start: number,
  size: number,
  from: number,
  to: number,
  crcOf: (bytes: Uint8Array, previous: number) => number,
): Promise<{ part: Uint8Array; crc: number }> {
  const part = new Uint8Array(to - from);
  let crc = 0;
  for (let position = 0; position < size; position += chunk) {
    const next = Math.min(size, position + chunk);
    const piece = await source.read(start + position, start + next);
    crc = crcOf(piece, crc);
    const low = Math.max(from, position);
    const high = Math.min(to, next);
    if (low < high) part.set(piece.subarray(low - position, high - position), low - from);
  }
  return { part, crc };
}

/** Where the data start behind the local header, whose own sizes may be left to the directory. */
function dataOffset(caller: string, entry: ZipEntry, bytes: Uint8Array): number {
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 30 || header.getUint32(0, true) !== 0x04034b50)
    throw damaged(caller, `no entry "${entry.name}" where its directory says`);
  const offset = 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (offset + entry.size > entry.end - entry.start)
    throw damaged(caller, `a cut entry "${entry.name}"`);
  return offset;
}
