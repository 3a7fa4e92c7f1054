import type { Code, WasmFunction } from "./assembler.ts";
import * as w from "./assembler.ts";
import { type ConstantPool, layout, WORDS } from "./layout.ts";

/** Parameter and locals of a function of values. */
const local = { blocks: 0, i: 1, at: 2, a: 3, b: 4 } as const;

/** The first local that the computation of values may use. */
export const FREE_LOCAL = 5;

/** What a function of values does with two blocks at a time. */
export interface Values {
  /** Sets locals from {@link FREE_LOCAL} on. */
  readonly code: readonly Code[];
  /** Number of those locals. */
  readonly locals: number;
  /** The first and the second value of each of the two blocks. */
  readonly first: Code;
  readonly second: Code;
}

/** Words `j` of the two blocks at hand, in the low half of a vector. */
export const word = (j: number): Code => w.load64(w.get(local.at), layout.words + j * WORDS);

/** A function (blocks) that turns words into two values a block, two blocks at a time. */
export function valuesFunction(
  name: string,
  { code, locals, first, second }: Values,
): WasmFunction {
  const { blocks, i, at, a, b } = local;
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

/** 53-bit uniforms, as in `kernels.ts` beside this folder. */
export function uniformsFunction(pool: ConstantPool): WasmFunction {
  const uniform = (high: Code, low: Code) => {
    const top = w.multiply(w.fromUnsigned(high), pool.number(2 ** 21));
    const k = w.add(top, w.fromUnsigned(w.i32x4ShiftRight(low, 11)));
    return w.multiply(w.larger(k, pool.number(0.5)), pool.number(2 ** -53));
  };
  return valuesFunction("uniforms", {
    code: [],
    locals: 0,
    first: uniform(word(0), word(1)),
    second: uniform(word(2), word(3)),
  });
}
