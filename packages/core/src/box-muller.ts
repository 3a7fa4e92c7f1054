import { COSINE, HALF_ROOT, LN2, LOG, ONE, SINE } from "./polynomials.ts";

// Standard normals from Philox words by the Box-Muller transform, built only from `+ - * / sqrt`, which
// IEEE 754 rounds exactly: the same bits on every engine and machine. (`Math.log`, `sin` and `cos` are
// implementation-approximated in ECMAScript, and do differ between engines.) `wasm/draws.wat` holds
// the same operations in the same order; tests compare the bits.

const [L0, L1, L2, L3, L4, L5, L6] = LOG;
const [S0, S1, S2, S3, S4, S5, S6] = SINE;
const [C0, C1, C2, C3, C4, C5, C6, C7] = COSINE;

const float = new Float64Array(1);
const bits = new Int32Array(float.buffer);
/** Which half of a float64 holds its sign and exponent: 1 on little-endian machines. */
const HIGH = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

/**
 * The natural logarithm of a positive normal number, to about 1 unit in the last place and with the
 * same bits everywhere: u = 2^e m with m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f).
 */
export function naturalLog(u: number): number {
  float[0] = u;
  const shifted = (bits[HIGH] as number) + (ONE - HALF_ROOT);
  bits[HIGH] = (shifted & 0xfffff) + HALF_ROOT;
  const f = (float[0] as number) - 1;
  const s = f / (2 + f);
  const z = s * s;
  const z2 = z * z;
  const r = z * (L0 + L1 * z + (L2 + L3 * z) * z2 + (L4 + L5 * z + L6 * z2) * (z2 * z2));
  return ((shifted >> 20) - 1023) * LN2 + (f - s * (f - r));
}

/** 64 bits (high word, low word) as a number in (0, 1], spaced 2^-64 near 0: (w + 1/2) / 2^64. */
export function toUnit(high: number, low: number): number {
  return (high * 2 ** 32 + (low + 0.5)) * 2 ** -64;
}

/**
 * Turns `blocks` Philox blocks into two standard normals each.
 *
 * Words 0 and 1 give the radius sqrt(-2 log u), up to 9.49; words 2 and 3 the angle (q + g) pi / 2
 * with q in 0 … 3 and g in (-1/2, 1/2). The quarter turn q swaps and negates without branching.
 */
export function toNormals(words: Uint32Array, blocks: number, out: Float64Array): void {
  for (let block = 0; block < blocks; block++) {
    const at = 4 * block;
    const u = toUnit(words[at] as number, words[at + 1] as number);
    const radius = Math.sqrt(-2 * naturalLog(u));
    const turn = words[at + 2] as number;
    const g = (turn << 2) * 2 ** -32 + ((words[at + 3] as number) + 0.5) * 2 ** -62;
    const w = g * g;
    const w2 = w * w;
    const w4 = w2 * w2;
    const sine = g * (S0 + S1 * w + (S2 + S3 * w) * w2 + (S4 + S5 * w + S6 * w2) * w4);
    const cosine = C0 + C1 * w + (C2 + C3 * w) * w2 + (C4 + C5 * w + (C6 + C7 * w) * w2) * w4;
    const quarter = turn >>> 30;
    const swap = quarter & 1;
    out[2 * block + swap] = radius * cosine * (1 - (quarter & 2));
    out[2 * block + 1 - swap] = radius * sine * (1 - ((quarter + 1) & 2));
  }
}
