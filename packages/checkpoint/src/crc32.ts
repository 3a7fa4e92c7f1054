// Eight tables: table k advances the checksum of one byte by k further zero bytes.
const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  tables[0]![byte] = value;
}
for (let k = 1; k < 8; k++)
  for (let byte = 0; byte < 256; byte++) {
    const value = tables[k - 1]![byte]!;
    tables[k]![byte] = (value >>> 8) ^ tables[0]![value & 255]!;
  }
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

type Checksum = (bytes: Uint8Array, previous?: number) => number;

/**
 * The CRC-32 of zip files (polynomial 0xEDB88320). `previous` continues a checksum over pieces. Node's
 * own, where it has one, is several times faster.
 *
 * @internal
 */
export const crc32: Checksum = nativeCrc32() ?? portableCrc32;

function nativeCrc32(): Checksum | undefined {
  const zlib = globalThis.process?.getBuiltinModule?.("node:zlib") as { crc32?: Checksum };
  return zlib?.crc32;
}

/** Eight bytes at a time. @internal */
export function portableCrc32(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    const low =
      crc ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    crc =
      t7[low & 255]! ^
      t6[(low >>> 8) & 255]! ^
      t5[(low >>> 16) & 255]! ^
      t4[low >>> 24]! ^
      t3[bytes[i + 4]!]! ^
      t2[bytes[i + 5]!]! ^
      t1[bytes[i + 6]!]! ^
      t0[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}
