// The two passes of a resize as a WebAssembly module with vector instructions, assembled here byte by byte
// (core specification 2.0, section 5). An expression is the array of its bytes.

type Code = readonly number[];

/** An unsigned integer in LEB128. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >> 7)];
}

/** A signed 32-bit integer in LEB128. */
function signed(value: number): number[] {
  const last = value >= -64 && value < 64;
  return last ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}

const vector = (items: readonly Code[]) => [...unsigned(items.length), ...items.flat()];
const section = (id: number, body: Code) => [id, ...unsigned(body.length), ...body];
const name = (text: string) => vector(Array.from(text, (letter) => [letter.charCodeAt(0)]));

const simd = (opcode: number) => [0xfd, ...unsigned(opcode)];
const get = (local: number): Code => [0x20, ...unsigned(local)];
const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
const constant = (value: number): Code => [0x41, ...signed(value)];
const add = (a: Code, b: Code): Code => [...a, ...b, 0x6a];
const step = (local: number, by: Code): Code => set(local, add(get(local), by));
/** Runs `body`, again while local `a` is less than local `b`. */
const loopWhileLess = (a: number, b: number, body: readonly Code[]): Code => [
  ...[0x03, 0x40, ...body.flat(), ...get(a), ...get(b)],
  ...[0x49, 0x0d, 0, 0x0b],
];

const load32 = (address: Code): Code => [...address, 0x28, 2, 0];
const store32 = (address: Code, value: Code): Code => [...address, ...value, 0x36, 0, 0];
/** Four bytes, and zeros. */
const loadPixel = (address: Code): Code => [...address, ...simd(0x5c), 0, 0];
const load16Bytes = (address: Code): Code => [...address, ...simd(0), 0, 0];
const store16Bytes = (address: Code, value: Code): Code => [
  ...address,
  ...value,
  ...simd(11),
  0,
  0,
];
/** One weight in all four lanes. */
const loadWeight = (address: Code): Code => [...address, ...simd(9), 2, 0];
const splat = (value: Code): Code => [...value, ...simd(0x11)];
const firstLane = (value: Code): Code => [...value, ...simd(0x1b), 0];
const lowBytes = (value: Code): Code => [...value, ...simd(0x89)];
const highBytes = (value: Code): Code => [...value, ...simd(0x8a)];
const lowWords = (value: Code): Code => [...value, ...simd(0xa9)];
const highWords = (value: Code): Code => [...value, ...simd(0xaa)];
const vectorAdd = (a: Code, b: Code): Code => [...a, ...b, ...simd(0xae)];
const vectorMultiply = (a: Code, b: Code): Code => [...a, ...b, ...simd(0xb5)];
const shiftRight = (value: Code, bits: number): Code => [
  ...value,
  ...constant(bits),
  ...simd(0xac),
];
const toWords = (a: Code, b: Code): Code => [...a, ...b, ...simd(0x85)];
/** Signed words to bytes, cut to 0 … 255. */
const toBytes = (a: Code, b: Code): Code => [...a, ...b, ...simd(0x66)];

const i32 = 0x7f;
const v128 = 0x7b;

/**
 * `columns(source, target, end, starts, counts, weights, stride)`: one line of colour pixels. `starts` are byte
 * offsets into the line, `counts` the bytes of an output's weights, `stride` the bytes between two outputs' weights;
 * `end` is where `target` ends.
 */
function columns(bits: number): Code {
  const [source, target, end, starts, counts, weights, stride] = [0, 1, 2, 3, 4, 5, 6] as const;
  const [from, weight, last, sum] = [7, 8, 9, 10] as const;
  const scaled = shiftRight(get(sum), bits);
  const tap = vectorMultiply(lowWords(lowBytes(loadPixel(get(from)))), loadWeight(get(weight)));
  return loopWhileLess(target, end, [
    set(sum, splat(constant(1 << (bits - 1)))),
    set(from, add(get(source), load32(get(starts)))),
    set(weight, get(weights)),
    set(last, add(get(weights), load32(get(counts)))),
    loopWhileLess(weight, last, [
      set(sum, vectorAdd(get(sum), tap)),
      step(from, constant(3)),
      step(weight, constant(4)),
    ]),
    store32(get(target), firstLane(toBytes(toWords(scaled, scaled), toWords(scaled, scaled)))),
    step(target, constant(3)),
    step(starts, constant(4)),
    step(counts, constant(4)),
    step(weights, get(stride)),
  ]);
}

/**
 * `rows(source, target, end, weights, last, line)`: one line of the result, 16 bytes at a time, from the lines at
 * `source`, `line` bytes apart, with the weights from `weights` to `last`.
 */
function rows(bits: number): Code {
  const [source, target, end, weights, last, line] = [0, 1, 2, 3, 4, 5] as const;
  const [from, weight, bytes, factor] = [6, 7, 8, 9] as const;
  const sums = [10, 11, 12, 13] as const;
  const parts = [
    lowWords(lowBytes(get(bytes))),
    highWords(lowBytes(get(bytes))),
    lowWords(highBytes(get(bytes))),
    highWords(highBytes(get(bytes))),
  ];
  const [a, b, c, d] = sums.map((sum) => shiftRight(get(sum), bits)) as [Code, Code, Code, Code];
  return loopWhileLess(target, end, [
    ...sums.map((sum) => set(sum, splat(constant(1 << (bits - 1))))),
    set(from, get(source)),
    set(weight, get(weights)),
    loopWhileLess(weight, last, [
      set(bytes, load16Bytes(get(from))),
      set(factor, loadWeight(get(weight))),
      ...sums.map((sum, i) =>
        set(sum, vectorAdd(get(sum), vectorMultiply(parts[i]!, get(factor)))),
      ),
      step(from, get(line)),
      step(weight, constant(4)),
    ]),
    store16Bytes(get(target), toBytes(toWords(a, b), toWords(c, d))),
    step(source, constant(16)),
    step(target, constant(16)),
  ]);
}

/** The module: `memory`, `columns` and `rows`, for weights with `bits` binary places. */
export function resizeModule(bits: number): Uint8Array<ArrayBuffer> {
  const functions = [
    { name: "columns", parameters: 7, locals: [i32, i32, i32, v128], body: columns(bits) },
    {
      name: "rows",
      parameters: 6,
      locals: [i32, i32, v128, v128, v128, v128, v128, v128],
      body: rows(bits),
    },
  ];
  const signature = ({ parameters }: { parameters: number }) => [
    0x60,
    ...vector(Array.from({ length: parameters }, () => [i32])),
    0,
  ];
  const body = ({ locals, body }: { locals: number[]; body: Code }) => {
    const code = [...vector(locals.map((type) => [1, type])), ...body, 0x0b];
    return [...unsigned(code.length), ...code];
  };
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(functions.map(signature))),
    ...section(3, vector(functions.map((_, i) => unsigned(i)))),
    ...section(5, [1, 0, 1]),
    ...section(
      7,
      vector([[...name("memory"), 2, 0], ...functions.map(({ name: n }, i) => [...name(n), 0, i])]),
    ),
    ...section(10, vector(functions.map(body))),
  ]);
}
