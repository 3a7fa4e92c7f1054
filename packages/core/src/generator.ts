import xor4096 from "seedrandom/lib/xor4096.js";
import { checkCount } from "./check.ts";
import { DmaeError } from "./errors.ts";
import { checkKey, type Key } from "./key.ts";

/**
 * A sequence of uniforms in (0, 1) with 53 bits, for code that wants "the next number": augmentation,
 * initialisation. The generator is `seedrandom`'s xor4096 (Brent's xorgens) seeded by the key.
 *
 * What must not depend on the order of calls uses `uniform` or `normal` instead.
 *
 * @example
 * const next = generator(foldIn(key(0), "crop"));
 * const left = Math.floor(next() * 4);
 */
export function generator(key: Key): () => number {
  checkKey("generator", key);
  const hex = (word: number) => word.toString(16).padStart(8, "0");
  return xor4096(`dmae:${hex(key.high)}${hex(key.low)}`).double;
}

/**
 * A uniformly random order of `0 … size - 1` (Fisher-Yates, drawing from {@link generator}).
 *
 * @param size an integer in `[0, 2^32)`
 * @throws {DmaeError} "argument" for a bad key or size
 * @example
 * const order = permutation(foldIn(key(0), epoch), dataset.length);
 */
export function permutation(key: Key, size: number): Uint32Array {
  checkKey("permutation", key);
  checkCount("permutation: size", size);
  if (size >= 2 ** 32)
    throw new DmaeError("argument", `permutation: size must lie below 2^32, got ${size}`);
  const next = generator(key);
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    const kept = order[i] as number;
    order[i] = order[j] as number;
    order[j] = kept;
  }
  return order;
}
