import type { ByteSource } from "./byte-source.ts";
import { crc32 } from "./crc32.ts";
import { damaged, readZipDirectory, type ZipEntry } from "./zip-directory.ts";

/** An archive of uncompressed files whose contents are read by range and verified. @internal */
export interface ZipArchive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** Bytes `from … to - 1` of an entry; the first read of it verifies the checksum of all of it. */
  read(entry: ZipEntry, from: number, to: number): Promise<Uint8Array>;
}

const chunk = 1 << 24;

/** @internal */
export async function openZip(
  caller: string,
  source: ByteSource,
  maxHeader: number,
): Promise<ZipArchive> {
  const { entries, hasChecksums } = await readZipDirectory(caller, source, maxHeader);
  const verified = new Map<ZipEntry, number>(); // entry -> where its data start
  const read = async (entry: ZipEntry, from: number, to: number) => {
    const known = verified.get(entry);
    if (known !== undefined) return source.read(known + from, known + to);
    const { bytes, start } = await readVerified(caller, source, entry, from, to, hasChecksums);
    verified.set(entry, start);
    return bytes;
  };
  return { entries, read };
}

/** Reads an entry from front to back in pieces, keeping only what was asked for. */
async function readVerified(
  caller: string,
  source: ByteSource,
  entry: ZipEntry,
  from: number,
  to: number,
  hasChecksums: boolean,
): Promise<{ bytes: Uint8Array; start: number }> {
  const first = await source.read(entry.start, Math.min(entry.end, entry.start + chunk));
  const start = entry.start + dataOffset(caller, entry, first);
  if (start + entry.size > entry.end) throw damaged(caller, `a cut entry "${entry.name}"`);
  const bytes = new Uint8Array(to - from);
  let crc = 0;
  for (let position = 0; position < entry.size; ) {
    const inFirst = position === 0 ? first.subarray(start - entry.start) : undefined;
    const wanted = Math.min(entry.size - position, chunk);
    const piece = inFirst?.length
      ? inFirst.subarray(0, wanted)
      : await source.read(start + position, start + position + wanted);
    if (hasChecksums) crc = crc32(piece, crc);
    const low = Math.max(from, position);
    const high = Math.min(to, position + piece.length);
    if (low < high) bytes.set(piece.subarray(low - position, high - position), low - from);
    position += piece.length;
  }
  if (hasChecksums && crc !== entry.crc)
    throw damaged(caller, `another checksum for "${entry.name}" than its directory says`);
  return { bytes, start };
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
