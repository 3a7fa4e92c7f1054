import { type Code, i32, load } from "./assembler.ts";

/** Blocks per call. */
export const BLOCKS = 512;

/** Bytes of an array with one word for each block. */
export const WORDS = 4 * BLOCKS;

/** Byte offsets in memory: four arrays of words, values, float32 means and results, constants. */
export const layout = {
  words: 0,
  values: 4 * WORDS,
  means: 8 * WORDS,
  results: 10 * WORDS,
  constants: 12 * WORDS,
} as const;

/**
 * Vector constants, read from memory: engines build a constant anew in each turn of a loop, which
 * costs more than a load.
 */
export class ConstantPool {
  readonly #lanes: bigint[] = [];

  /** Both lanes `value`. */
  number(value: number): Code {
    return this.#entry(new BigInt64Array(new Float64Array([value]).buffer)[0] as bigint);
  }

  /** Both lanes the 64-bit integer of a high and a low word. */
  integer(high: number, low: number): Code {
    return this.#entry((BigInt(high) << 32n) | BigInt(low));
  }

  /** The values to be copied to `layout.constants` before the first call. */
  values(): Float64Array {
    return new Float64Array(BigInt64Array.from(this.#lanes.flatMap((lane) => [lane, lane])).buffer);
  }

  #entry(lane: bigint): Code {
    const bits = BigInt.asIntN(64, lane);
    if (!this.#lanes.includes(bits)) this.#lanes.push(bits);
    return load(i32(0), layout.constants + 16 * this.#lanes.indexOf(bits));
  }
}
