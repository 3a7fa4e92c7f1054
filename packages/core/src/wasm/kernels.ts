import { COSINE, HALF_ROOT, LN2, LOG, ONE, SINE } from "../polynomials.ts";
import type { Code, WasmFunction } from "./assembler.ts";
import * as w from "./assembler.ts";

/** Blocks per call. */
export const BLOCKS = 512;
const WORDS = 4 * BLOCKS;

/** Byte offsets in memory: four arrays of words, values, float32 means and results, constants. */
export const layout = {
  words: 0,
  values: 4 * WORDS,
  means: 4 * WORDS + 16 * BLOCKS,
  results: 4 * WORDS + 24 * BLOCKS,
  constants: 4 * WORDS + 32 * BLOCKS,
} as const;

/** The module's bytes, and the constants to be copied to `layout.constants` before the first call. */
export function buildModule(): { code: Uint8Array<ArrayBuffer>; constants: Float64Array } {
  const pool = new ConstantPool();
  const functions = [
    wordsFunction(pool),
    uniformsFunction(pool),
    normalsFunction(pool),
    shiftFunction("shiftByNumber", () => w.get(SHIFT.mean)),
    shiftFunction("shiftByArray", (at) => w.fromFloat32(w.load64(at, layout.means))),
  ];
  return { code: w.assemble(functions, 1), constants: pool.values() };
}

/**
 * Vector constants, read from memory: engines build a constant anew in each turn of a loop, which
 * costs more than a load.
 */
class ConstantPool {
  readonly #lanes: bigint[] = [];

  /** Both lanes `value`. */
  number(value: number): Code {
    return this.#entry(new BigInt64Array(new Float64Array([value]).buffer)[0] as bigint);
  }

  /** Both lanes the 64-bit integer of a high and a low word. */
  integer(high: number, low: number): Code {
    return this.#entry((BigInt(high) << 32n) | BigInt(low));
  }

  #entry(lane: bigint): Code {
    const bits = BigInt.asIntN(64, lane);
    if (!this.#lanes.includes(bits)) this.#lanes.push(bits);
    return w.load(w.i32(0), layout.constants + 16 * this.#lanes.indexOf(bits));
  }

  values(): Float64Array {
    return new Float64Array(BigInt64Array.from(this.#lanes.flatMap((lane) => [lane, lane])).buffer);
  }
}

/** Parameters and locals of `words`: keys, counter words, block number and count; then state. */
const WORDS_LOCALS = {
  key0: 0,
  key1: 1,
  x1: 2,
  x2: 3,
  x3: 4,
  first: 5,
  blocks: 6,
  i: 7,
  at: 8,
} as const;

/** Philox4x32-10 for four blocks at a time; word j of block i at `4 * (j * BLOCKS + i)`. */
function wordsFunction(pool: ConstantPool): WasmFunction {
  const p = WORDS_LOCALS;
  const x = [9, 10, 11, 12] as const;
  const [low0, high0, low1, high1] = [13, 14, 15, 16] as const;
  const [m0, m1] = [pool.integer(0xd2511f53, 0xd2511f53), pool.integer(0xcd9e8d57, 0xcd9e8d57)];
  const lanes = w.shuffle(pool.integer(1, 0), pool.integer(3, 2), [0, 1, 4, 5]);
  const roundKey = (key: number, step: number, round: number) =>
    w.i32x4Splat(w.i32Add(w.get(key), w.i32(Math.imul(step, round))));
  const round = (_: unknown, n: number): Code => [
    ...w.set(low0, w.i64x2ProductsLow(w.get(x[0]), m0)),
    ...w.set(high0, w.i64x2ProductsHigh(w.get(x[0]), m0)),
    ...w.set(low1, w.i64x2ProductsLow(w.get(x[2]), m1)),
    ...w.set(high1, w.i64x2ProductsHigh(w.get(x[2]), m1)),
    ...w.set(
      x[0],
      w.xor(
        w.xor(w.shuffle(w.get(low1), w.get(high1), [1, 3, 5, 7]), w.get(x[1])),
        roundKey(p.key0, 0x9e3779b9, n),
      ),
    ),
    ...w.set(x[1], w.shuffle(w.get(low1), w.get(high1), [0, 2, 4, 6])),
    ...w.set(
      x[2],
      w.xor(
        w.xor(w.shuffle(w.get(low0), w.get(high0), [1, 3, 5, 7]), w.get(x[3])),
        roundKey(p.key1, 0xbb67ae85, n),
      ),
    ),
    ...w.set(x[3], w.shuffle(w.get(low0), w.get(high0), [0, 2, 4, 6])),
  ];
  const body = [
    w.set(x[0], w.i32x4Add(w.i32x4Splat(w.i32Add(w.get(p.first), w.get(p.i))), lanes)),
    w.set(x[1], w.i32x4Splat(w.get(p.x1))),
    w.set(x[2], w.i32x4Splat(w.get(p.x2))),
    w.set(x[3], w.i32x4Splat(w.get(p.x3))),
    ...Array.from({ length: 10 }, round),
    w.set(p.at, w.i32Multiply(w.get(p.i), w.i32(4))),
    ...x.map((word, j) => w.store(w.get(p.at), w.get(word), layout.words + j * WORDS)),
    w.set(p.i, w.i32Add(w.get(p.i), w.i32(4))),
  ];
  return {
    name: "words",
    parameters: Array(7).fill(w.types.i32),
    locals: [w.types.i32, w.types.i32, ...Array(8).fill(w.types.v128)],
    body: w.loop(body, w.i32Less(w.get(p.i), w.get(p.blocks))),
  };
}

/** Two of the words `j` of the blocks at hand, in the low half of a vector. */
const word = (at: number, j: number): Code => w.load64(w.get(at), layout.words + j * WORDS);

/** A function (blocks) that turns words into two values a block, two blocks at a time. */
function valuesFunction(
  name: string,
  locals: number,
  values: (at: number) => { code: Code[]; first: Code; second: Code },
): WasmFunction {
  const [blocks, i, at, a, b] = [0, 1, 2, 3, 4] as const;
  const { code, first, second } = values(at);
  const body = [
    w.set(at, w.i32Multiply(w.get(i), w.i32(4))),
    ...code,
    w.set(a, first),
    w.set(b, second),
    w.set(at, w.i32Multiply(w.get(i), w.i32(16))),
    w.store(w.get(at), w.shuffle(w.get(a), w.get(b), [0, 1, 4, 5]), layout.values),
    w.store(w.get(at), w.shuffle(w.get(a), w.get(b), [2, 3, 6, 7]), layout.values + 16),
    w.set(i, w.i32Add(w.get(i), w.i32(2))),
  ];
  return {
    name,
    parameters: [w.types.i32],
    locals: [w.types.i32, w.types.i32, ...Array(2 + locals).fill(w.types.v128)],
    body: w.loop(body, w.i32Less(w.get(i), w.get(blocks))),
  };
}

/** 53-bit uniforms, as in `uniform.ts`. */
function uniformsFunction(pool: ConstantPool): WasmFunction {
  const uniform = (high: Code, low: Code) =>
    w.multiply(
      w.larger(
        w.add(
          w.multiply(w.fromUnsigned(high), pool.number(2 ** 21)),
          w.fromUnsigned(w.i32x4ShiftRight(low, 11)),
        ),
        pool.number(0.5),
      ),
      pool.number(2 ** -53),
    );
  return valuesFunction("uniforms", 0, (at) => ({
    code: [],
    first: uniform(word(at, 0), word(at, 1)),
    second: uniform(word(at, 2), word(at, 3)),
  }));
}

/** The Box-Muller transform, operation by operation as in `box-muller.ts`. */
function normalsFunction(pool: ConstantPool): WasmFunction {
  const c = (value: number) => pool.number(value);
  const [u, shifted, f, s, z, z2, z4, r, radius] = [5, 6, 7, 8, 9, 10, 11, 12, 13] as const;
  const [turn, g, sine, cosine, sign, swap] = [14, 15, 16, 17, 18, 19] as const;
  const powers = (value: number) => [
    w.set(z, w.multiply(w.get(value), w.get(value))),
    w.set(z2, w.multiply(w.get(z), w.get(z))),
    w.set(z4, w.multiply(w.get(z2), w.get(z2))),
  ];
  const line = (a: number, b: number) => w.add(c(a), w.multiply(c(b), w.get(z)));
  const polynomial = ([c0, c1, c2, c3, c4, c5, c6, c7]: readonly number[]) =>
    w.add(
      w.add(line(c0!, c1!), w.multiply(line(c2!, c3!), w.get(z2))),
      w.multiply(
        w.add(line(c4!, c5!), w.multiply(c7 === undefined ? c(c6!) : line(c6!, c7), w.get(z2))),
        w.get(z4),
      ),
    );
  const half = (low: Code) => w.add(w.fromUnsigned(low), c(0.5));
  const exponent = w.subtract(
    w.or(w.i64x2ShiftRight(w.get(shifted), 52), pool.integer(0x43300000, 0)),
    c(2 ** 52 + 1023),
  );
  const mantissa = w.i64x2Add(
    w.and(w.get(shifted), pool.integer(0xfffff, 0xffffffff)),
    pool.integer(HALF_ROOT, 0),
  );
  const log = w.add(
    w.multiply(exponent, c(LN2)),
    w.subtract(w.get(f), w.multiply(w.get(s), w.subtract(w.get(f), w.get(r)))),
  );
  const negative = (bits: Code) => w.and(bits, pool.integer(0x80000000, 0));
  const code = (at: number) => [
    w.set(
      u,
      w.multiply(
        w.add(w.multiply(w.fromUnsigned(word(at, 0)), c(2 ** 32)), half(word(at, 1))),
        c(2 ** -64),
      ),
    ),
    w.set(shifted, w.i64x2Add(w.get(u), pool.integer(ONE - HALF_ROOT, 0))),
    w.set(f, w.subtract(mantissa, c(1))),
    w.set(s, w.divide(w.get(f), w.add(c(2), w.get(f)))),
    ...powers(s),
    w.set(r, w.multiply(w.get(z), polynomial(LOG))),
    w.set(radius, w.root(w.multiply(c(-2), log))),
    w.set(turn, word(at, 2)),
    w.set(
      g,
      w.add(
        w.multiply(w.fromSigned(w.i32x4ShiftLeft(w.get(turn), 2)), c(2 ** -32)),
        w.multiply(half(word(at, 3)), c(2 ** -62)),
      ),
    ),
    ...powers(g),
    w.set(sine, w.multiply(w.get(radius), w.multiply(w.get(g), polynomial(SINE)))),
    w.set(cosine, w.multiply(w.get(radius), polynomial(COSINE))),
    w.set(turn, w.i64x2Extend(w.get(turn))),
    w.set(sign, w.i64x2ShiftLeft(w.get(turn), 32)),
    w.set(swap, w.i64x2ShiftLeft(w.get(turn), 33)),
    w.set(cosine, w.xor(w.get(cosine), negative(w.get(sign)))),
    w.set(sine, w.xor(w.get(sine), negative(w.xor(w.get(sign), w.get(swap))))),
    w.set(swap, w.i64x2ShiftRightSigned(w.get(swap), 63)),
  ];
  return valuesFunction("normals", 15, (at) => ({
    code: code(at),
    first: w.select(w.get(sine), w.get(cosine), w.get(swap)),
    second: w.select(w.get(cosine), w.get(sine), w.get(swap)),
  }));
}

const SHIFT = { values: 0, scale: 1, shift: 2, i: 3, at: 4, factor: 5, mean: 6 } as const;

/** A function (count, scale, shift): float32 results mean + scale * value, two at a time. */
function shiftFunction(name: string, mean: (at: Code) => Code): WasmFunction {
  const p = SHIFT;
  const pair = (offset: number) =>
    w.toFloat32(
      w.add(
        mean(w.i32Add(w.get(p.at), w.i32(offset))),
        w.multiply(
          w.get(p.factor),
          w.load(w.i32Add(w.get(p.at), w.get(p.at)), layout.values + 2 * offset),
        ),
      ),
    );
  const body = [
    w.set(p.at, w.i32Multiply(w.get(p.i), w.i32(4))),
    w.store(w.get(p.at), w.shuffle(pair(0), pair(8), [0, 1, 4, 5]), layout.results),
    w.set(p.i, w.i32Add(w.get(p.i), w.i32(4))),
  ];
  return {
    name,
    parameters: [w.types.i32, w.types.f64, w.types.f64],
    locals: [w.types.i32, w.types.i32, w.types.v128, w.types.v128],
    body: [
      ...w.set(p.factor, w.f64x2Splat(w.get(p.scale))),
      ...w.set(p.mean, w.f64x2Splat(w.get(p.shift))),
      ...w.loop(body, w.i32Less(w.get(p.i), w.get(p.values))),
    ],
  };
}
