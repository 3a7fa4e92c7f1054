import type { Code, WasmFunction } from "./assembler.ts";
import * as w from "./assembler.ts";
import { type ConstantPool, layout, WORDS } from "./layout.ts";

/** Parameters: the key, counter words 1 to 3, the first block and their number; then locals. */
const local = {
  ...{ key0: 0, key1: 1, x1: 2, x2: 3, x3: 4, first: 5, blocks: 6 },
  ...{ i: 7, at: 8, low0: 13, high0: 14, low1: 15, high1: 16 },
} as const;

/** The four counter words, each of four blocks at a time. */
const state = [9, 10, 11, 12] as const;

/** Philox4x32-10 for four blocks at a time; word j of block i lies at `4 * (j * BLOCKS + i)`. */
export function wordsFunction(pool: ConstantPool): WasmFunction {
  const lanes = w.shuffle(pool.integer(1, 0), pool.integer(3, 2), [0, 1, 4, 5]);
  const body = [
    w.set(state[0], w.i32x4Add(w.i32x4Splat(w.i32Add(w.get(local.first), w.get(local.i))), lanes)),
    w.set(state[1], w.i32x4Splat(w.get(local.x1))),
    w.set(state[2], w.i32x4Splat(w.get(local.x2))),
    w.set(state[3], w.i32x4Splat(w.get(local.x3))),
    ...Array.from({ length: 10 }, (_, n) => round(pool, n)),
    w.set(local.at, w.i32Multiply(w.get(local.i), w.i32(4))),
    ...state.map((word, j) => w.store(w.get(local.at), w.get(word), layout.words + j * WORDS)),
    w.set(local.i, w.i32Add(w.get(local.i), w.i32(4))),
  ];
  return {
    name: "words",
    parameters: Array(7).fill(w.types.i32),
    locals: [w.types.i32, w.types.i32, ...Array(8).fill(w.types.v128)],
    body: w.loop(body, w.i32Less(w.get(local.i), w.get(local.blocks))),
  };
}

/** Round `n`, as in `philox.ts`; the products of four lanes come in two halves. */
function round(pool: ConstantPool, n: number): Code {
  const [x0, x1, x2, x3] = state;
  const { low0, high0, low1, high1 } = local;
  const m0 = pool.integer(0xd2511f53, 0xd2511f53);
  const m1 = pool.integer(0xcd9e8d57, 0xcd9e8d57);
  const roundKey = (key: number, step: number) =>
    w.i32x4Splat(w.i32Add(w.get(key), w.i32(Math.imul(step, n))));
  const highWords = (a: number, b: number) => w.shuffle(w.get(a), w.get(b), [1, 3, 5, 7]);
  const lowWords = (a: number, b: number) => w.shuffle(w.get(a), w.get(b), [0, 2, 4, 6]);
  return [
    w.set(low0, w.i64x2ProductsLow(w.get(x0), m0)),
    w.set(high0, w.i64x2ProductsHigh(w.get(x0), m0)),
    w.set(low1, w.i64x2ProductsLow(w.get(x2), m1)),
    w.set(high1, w.i64x2ProductsHigh(w.get(x2), m1)),
    w.set(x0, w.xor(w.xor(highWords(low1, high1), w.get(x1)), roundKey(local.key0, 0x9e3779b9))),
    w.set(x1, lowWords(low1, high1)),
    w.set(x2, w.xor(w.xor(highWords(low0, high0), w.get(x3)), roundKey(local.key1, 0xbb67ae85))),
    w.set(x3, lowWords(low0, high0)),
  ].flat();
}
