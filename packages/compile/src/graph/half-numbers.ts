/** The two 16-bit formats: bfloat16 has the range of float32 and 8 bits of precision, float16 11 bits and the range to 65504. */
export type HalfType = "bfloat16" | "float16";

const bits = new Uint32Array(1);
const number = new Float32Array(bits.buffer);

/** The bits of a float32, rounded to bfloat16: to nearest, ties to even. NaN stays NaN. */
function toBfloat16(value: number): number {
  number[0] = value;
  const word = bits[0]!;
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Adding and subtracting 2^e rounds to a multiple of 2^(e - 23): float32 addition rounds to nearest, ties to even. */
const toMultiple = (value: number, power: number) =>
  Math.fround(Math.fround(value + power) - power);

/** The bits of a float32, rounded to float16 (IEEE 754): to nearest, ties to even, with its subnormal numbers. */
function toFloat16(value: number): number {
  number[0] = value;
  const sign = (bits[0]! >>> 16) & 0x8000;
  const size = Math.abs(number[0]!);
  if (Number.isNaN(size)) return sign | 0x7e00;
  if (size >= 65520) return sign | 0x7c00; // halfway from the largest number to the next
  if (size < 2 ** -14) return sign | (toMultiple(size, 2 ** -1) * 2 ** 24); // multiples of 2^-24
  number[0] = size;
  const word = bits[0]!;
  return sign | (((word + 0xfff + ((word >>> 13) & 1)) >>> 13) - (112 << 10));
}

function fromFloat16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function fromBfloat16(half: number): number {
  bits[0] = half << 16;
  return number[0]!;
}

/** Rounds numbers to a 16-bit format; returns its bits. */
export function toHalf(type: HalfType, values: ArrayLike<number>): Uint16Array {
  const convert = type === "bfloat16" ? toBfloat16 : toFloat16;
  const result = new Uint16Array(values.length);
  for (let i = 0; i < result.length; i++) result[i] = convert(values[i]!);
  return result;
}

/** The numbers that bits of a 16-bit format stand for. */
export function fromHalf(type: HalfType, halves: ArrayLike<number>): Float32Array {
  const convert = type === "bfloat16" ? fromBfloat16 : fromFloat16;
  const result = new Float32Array(halves.length);
  for (let i = 0; i < result.length; i++) result[i] = convert(halves[i]!);
  return result;
}
