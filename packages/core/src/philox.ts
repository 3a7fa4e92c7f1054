/** Multipliers and key increments of Philox4x32 (Salmon et al. 2011, table 2). */
const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** Where a run of Philox blocks lies: the 64-bit key and all counter words but the block number. */
export interface Address {
  readonly keyLow: number;
  readonly keyHigh: number;
  /** Counter word 1: what the blocks are used for, so that kinds of draws never share one. */
  readonly domain: number;
  /** Counter words 2 and 3: the index of the draw. */
  readonly indexLow: number;
  readonly indexHigh: number;
}

/** Counter word 1, one value for each use. Changing a number changes every result. */
export const domains = {
  uniform: 0,
  normal: 1,
  laplace: 2,
  split: 3,
  foldNumber: 4,
  foldString: 5,
  generator: 6,
} as const;

/**
 * Writes the Philox4x32-10 blocks `firstBlock … firstBlock + blocks - 1` of `address`, four words
 * each, to the start of `words`.
 *
 * A round maps (x0, x1, x2, x3) to (hi(M1 x2) ^ x1 ^ k0, lo(M1 x2), hi(M0 x0) ^ x3 ^ k1, lo(M0 x0)).
 * The high halves of the 32 x 32 products are put together from 16-bit parts, since a product of
 * 64 bits is not exact in a JavaScript number; written out in line because it is the hot loop.
 */
export function fillWords(
  words: Uint32Array,
  address: Address,
  firstBlock: number,
  blocks: number,
): void {
  const { keyLow, keyHigh, domain, indexLow, indexHigh } = address;
  for (let block = 0; block < blocks; block++) {
    let x0 = (firstBlock + block) | 0;
    let x1 = domain | 0;
    let x2 = indexLow | 0;
    let x3 = indexHigh | 0;
    let k0 = keyLow | 0;
    let k1 = keyHigh | 0;
    for (let round = 0; round < 10; round++) {
      let low = x0 & 0xffff;
      let high = x0 >>> 16;
      let middle = (Math.imul(high, M0 & 0xffff) + (Math.imul(low, M0 & 0xffff) >>> 16)) | 0;
      let carry = (Math.imul(low, M0 >>> 16) + (middle & 0xffff)) | 0;
      const high0 = (Math.imul(high, M0 >>> 16) + (middle >>> 16) + (carry >>> 16)) | 0;
      const low0 = Math.imul(x0, M0);
      low = x2 & 0xffff;
      high = x2 >>> 16;
      middle = (Math.imul(high, M1 & 0xffff) + (Math.imul(low, M1 & 0xffff) >>> 16)) | 0;
      carry = (Math.imul(low, M1 >>> 16) + (middle & 0xffff)) | 0;
      const high1 = (Math.imul(high, M1 >>> 16) + (middle >>> 16) + (carry >>> 16)) | 0;
      const low1 = Math.imul(x2, M1);
      x0 = high1 ^ x1 ^ k0;
      x1 = low1;
      x2 = high0 ^ x3 ^ k1;
      x3 = low0;
      k0 = (k0 + W0) | 0;
      k1 = (k1 + W1) | 0;
    }
    const at = 4 * block;
    words[at] = x0;
    words[at + 1] = x1;
    words[at + 2] = x2;
    words[at + 3] = x3;
  }
}

/**
 * The Philox4x32-10 block function (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011): a bijection of 128-bit counters for each 64-bit key.
 *
 * @param counter four 32-bit words, least significant first
 * @param key two 32-bit words, least significant first
 * @returns four 32-bit words
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): Uint32Array {
  const words = new Uint32Array(4);
  const [block, domain, indexLow, indexHigh] = counter;
  fillWords(words, { keyLow: key[0], keyHigh: key[1], domain, indexLow, indexHigh }, block, 1);
  return words;
}
