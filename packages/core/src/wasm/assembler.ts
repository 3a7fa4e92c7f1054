// A few encoders of the WebAssembly binary format (core specification 2.0, section 5). An expression
// is the array of its bytes; operators take the expressions of their operands.

/** Bytes of an instruction sequence that leaves one value, or none. */
export type Code = readonly number[];

/** Value types. */
export const types = { i32: 0x7f, f64: 0x7c, v128: 0x7b } as const;

/** An exported function; locals follow the parameters. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly number[];
  readonly locals: readonly number[];
  readonly body: Code;
}

/** An unsigned integer in LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

/** A signed 32-bit integer in LEB128. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value | 0; ; rest >>= 7) {
    const low = rest & 127;
    if (rest >> 6 === 0 || rest >> 6 === -1) return [...bytes, low];
    bytes.push(low | 128);
  }
}

const vector = (items: readonly Code[]) => [...unsigned(items.length), ...items.flat()];
const section = (id: number, body: Code) => [id, ...unsigned(body.length), ...body];
const text = (value: string) => vector(Array.from(value, (letter) => [letter.charCodeAt(0)]));

/** A module with the given functions and one exported memory of `pages` 64 KiB pages. */
export function assemble(
  functions: readonly WasmFunction[],
  pages: number,
): Uint8Array<ArrayBuffer> {
  const signatures = functions.map(({ parameters }) => [
    0x60,
    ...vector(parameters.map((p) => [p])),
    0,
  ]);
  const exports = functions.map(({ name }, i) => [...text(name), 0, ...unsigned(i)]);
  const bodies = functions.map(({ locals, body }) => {
    const code = [...vector(locals.map((type) => [1, type])), ...body, 0x0b];
    return [...unsigned(code.length), ...code];
  });
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(signatures)),
    ...section(3, vector(functions.map((_, i) => unsigned(i)))),
    ...section(5, [1, 0, ...unsigned(pages)]),
    ...section(7, vector([[...text("memory"), 2, 0], ...exports])),
    ...section(10, vector(bodies)),
  ]);
}

const simd = (opcode: number) => [0xfd, ...unsigned(opcode)];
const binary =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode];
const unary =
  (opcode: number) =>
  (a: Code): Code => [...a, ...simd(opcode)];
const vectorBinary = (opcode: number) => binary(...simd(opcode));
const shift = (opcode: number) => (a: Code, count: number) =>
  [...a, ...i32(count), ...simd(opcode)] as Code;

/** Locals and control. */
export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
/** Runs `body` until `again` is 0. */
export const loop = (body: readonly Code[], again: Code): Code => [
  ...[0x03, 0x40, ...body.flat(), ...again],
  ...[0x0d, 0, 0x0b],
];

/** 32-bit integers. */
export const i32 = (value: number): Code => [0x41, ...signed(value)];
export const i32Add = binary(0x6a);
export const i32Multiply = binary(0x6c);
export const i32Less = binary(0x49);

/** Vectors in memory; `offset` is added to `address`. */
export const load = (address: Code, offset: number): Code => [
  ...address,
  ...simd(0),
  4,
  ...unsigned(offset),
];
export const load64 = (address: Code, offset: number): Code => [
  ...address,
  ...simd(0x5d),
  3,
  ...unsigned(offset),
];
export const store = (address: Code, value: Code, offset: number): Code => [
  ...address,
  ...value,
  ...simd(11),
  4,
  ...unsigned(offset),
];
/** Four 32-bit words of `a` (0 … 3) and `b` (4 … 7). */
export const shuffle = (a: Code, b: Code, words: readonly number[]): Code => [
  ...a,
  ...b,
  ...simd(13),
  ...words.flatMap((word) => [4 * word, 4 * word + 1, 4 * word + 2, 4 * word + 3]),
];
/** Bits of `a` where `mask` has ones, of `b` elsewhere. */
export const select = (a: Code, b: Code, mask: Code): Code => [...a, ...b, ...mask, ...simd(0x52)];
export const and = vectorBinary(0x4e);
export const or = vectorBinary(0x50);
export const xor = vectorBinary(0x51);

/** Four 32-bit integers. */
export const i32x4Splat = unary(0x11);
export const i32x4Add = vectorBinary(0xae);
export const i32x4ShiftLeft = shift(0xab);
export const i32x4ShiftRight = shift(0xad);

/** Two 64-bit integers; the products are those of unsigned lanes 0, 1 or 2, 3. */
export const i64x2ProductsLow = vectorBinary(0xde);
export const i64x2ProductsHigh = vectorBinary(0xdf);
export const i64x2Extend = unary(0xc9);
export const i64x2Add = vectorBinary(0xce);
export const i64x2ShiftLeft = shift(0xcb);
export const i64x2ShiftRight = shift(0xcd);
export const i64x2ShiftRightSigned = shift(0xcc);

/** Two float64 numbers. */
export const f64x2Splat = unary(0x14);
export const add = vectorBinary(0xf0);
export const subtract = vectorBinary(0xf1);
export const multiply = vectorBinary(0xf2);
export const divide = vectorBinary(0xf3);
export const larger = vectorBinary(0xf5);
export const root = unary(0xef);
export const fromSigned = unary(0xfe);
export const fromUnsigned = unary(0xff);
export const toFloat32 = unary(0x5e);
export const fromFloat32 = unary(0x5f);
