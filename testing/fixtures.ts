import { readFileSync } from "node:fs";

/** One tensor of a fixture; F16 is widened to float32, I64 to float64 (exact below 2^53). */
export interface FixtureTensor {
  shape: number[];
  data: Float32Array | Float64Array | Int32Array | Uint8Array;
}

const widths: Record<string, number> = { F64: 8, F32: 4, F16: 2, I64: 8, I32: 4, U8: 1, BOOL: 1 };

/** Reads a `.safetensors` fixture whole; throws for a name that it lacks. For tests only. */
export function readFixture(url: URL): {
  metadata: Record<string, string>;
  names: string[];
  get(name: string): FixtureTensor;
} {
  const file = readFileSync(url);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerLength));
  const { __metadata__: metadata = {}, ...entries } = header;
  return {
    metadata,
    names: Object.keys(entries),
    get(name) {
      const entry = entries[name];
      if (!entry) throw new Error(`${url.pathname} has no tensor ${name}`);
      const [start, end] = entry.data_offsets.map((offset: number) => offset + 8 + headerLength);
      if (!(entry.dtype in widths)) throw new Error(`fixture dtype ${entry.dtype} is not known`);
      const bytes = new Uint8Array(file.subarray(start, end)); // a copy, so aligned
      return { shape: entry.shape, data: widen(bytes.buffer, entry.dtype) };
    },
  };
}

function widen(buffer: ArrayBuffer, dtype: string): FixtureTensor["data"] {
  if (dtype === "F64") return new Float64Array(buffer);
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "F16") return Float32Array.from(new Uint16Array(buffer), fromHalf);
  if (dtype === "I64") return Float64Array.from(new BigInt64Array(buffer), Number);
  if (dtype === "I32") return new Int32Array(buffer);
  return new Uint8Array(buffer);
}

function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
