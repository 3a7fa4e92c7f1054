import { checkCount, show } from "./check.ts";
import { DmaeError } from "./errors.ts";
import { type Address, domains, fillWords } from "./philox.ts";

/**
 * The address of a stream of random numbers: a 64-bit Philox key in two unsigned 32-bit words.
 *
 * A key is a value. It is never used up, and the same key gives the same numbers wherever it is used:
 * derive one key for each purpose with {@link split} or {@link foldIn}.
 */
export interface Key {
  /** Most significant word, an integer in `[0, 2^32)`. */
  readonly high: number;
  /** Least significant word, an integer in `[0, 2^32)`. */
  readonly low: number;
}

const TWO32 = 2 ** 32;

/**
 * Makes a key from a seed. Every seed is a real seed, 0 too.
 *
 * @param seed an integer in `[0, 2^53)`, a bigint in `[0, 2^64)` (the same key as the number of that
 *   value), or any string, which is hashed
 * @throws {DmaeError} "argument" for anything else
 * @example
 * const root = key(0);
 * const [train, test] = [foldIn(root, "train"), foldIn(root, "test")];
 */
export function key(seed: number | bigint | string): Key {
  if (typeof seed === "string") return foldString({ high: 0, low: 0 }, seed);
  if (typeof seed === "bigint" && seed >= 0n && seed < 1n << 64n)
    return { high: Number(seed >> 32n), low: Number(seed & 0xffffffffn) };
  if (typeof seed === "number" && Number.isSafeInteger(seed) && seed >= 0)
    return { high: Math.floor(seed / TWO32), low: seed >>> 0 };
  throw new DmaeError(
    "argument",
    `key: the seed must be an integer in [0, 2^53), a bigint in [0, 2^64) or a string, got ${show(seed)}`,
    { seed },
  );
}

/**
 * Derives `count` independent keys. Key `i` does not depend on `count`.
 *
 * @param count an integer in `[0, 2^32)`
 */
export function split(parent: Key, count: number): Key[] {
  checkKey("split", parent);
  checkCount("split: count", count);
  if (count >= TWO32)
    throw new DmaeError("argument", `split: count must lie below 2^32, got ${count}`, { count });
  return Array.from({ length: count }, (_, i) => derive(parent, domains.split, i, 0, 0));
}

/**
 * Derives the key of `parent` for `data`: an index (image, step, epoch) or the name of a stream.
 * `foldIn(key, 3)`, `foldIn(key, "3")` and `split(key, 4)[3]` are three different keys.
 *
 * @param data an integer in `[0, 2^53)` or a string
 */
export function foldIn(parent: Key, data: number | string): Key {
  checkKey("foldIn", parent);
  if (typeof data === "string") return foldString(parent, data);
  checkCount("foldIn: data, where it is not a string,", data);
  return derive(parent, domains.foldNumber, data >>> 0, Math.floor(data / TWO32), 0);
}

/** Absorbs UTF-8 text, eight bytes and their position at a time; the last step carries the length. */
function foldString(parent: Key, text: string): Key {
  const bytes = new TextEncoder().encode(text);
  const padded = new DataView(new ArrayBuffer(Math.ceil(bytes.length / 8) * 8));
  new Uint8Array(padded.buffer).set(bytes);
  let state = derive(parent, domains.foldString, bytes.length, 0, TWO32 - 1);
  for (let at = 0; at < padded.byteLength; at += 8)
    state = derive(
      state,
      domains.foldString,
      padded.getUint32(at, true),
      padded.getUint32(at + 4, true),
      at / 8,
    );
  return state;
}

/** The first half of one Philox block under `parent`, as a key. */
function derive(parent: Key, domain: number, block: number, low: number, high: number): Key {
  const words = new Uint32Array(4);
  fillWords(words, address(parent, domain, low, high), block, 1);
  return { low: words[0] as number, high: words[1] as number };
}

/** Puts a key and the fixed counter words together. */
export function address(
  { low, high }: Key,
  domain: number,
  indexLow: number,
  indexHigh: number,
): Address {
  return { keyLow: low, keyHigh: high, domain, indexLow, indexHigh };
}

/** Throws unless `value` is a {@link Key}; `where` is the function's name. */
export function checkKey(where: string, value: unknown): asserts value is Key {
  const { high, low } = (value ?? {}) as Record<string, unknown>;
  if (isWord(high) && isWord(low)) return;
  throw new DmaeError(
    "argument",
    `${where}: the first argument must be a key, got ${show(value)}; make one with key(seed)`,
    { key: value },
  );
}

const isWord = (value: unknown) =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < TWO32;
