/**
 * Standard normals from Philox words by the Box-Muller transform, built only from `+ - * / sqrt`,
 * which IEEE 754 rounds exactly: the same bits on every engine and machine. (`Math.log`, `sin` and
 * `cos` are implementation-approximated in ECMAScript, and do differ between engines.)
 *
 * The polynomials are Chebyshev fits in 60-digit arithmetic, rounded to float64; their relative
 * errors are below 2e-16 on the intervals used. `wasm/random.ts` holds the same operations in the
 * same order; tests compare the bits.
 */

/** log((1 + s) / (1 - s)) = 2 s + s z (L0 + L1 z + …), z = s^2, s up to tan(pi / 8)^2. */
const L0 = 0.666666666666667;
const L1 = 0.399999999998995;
const L2 = 0.2857142862597826;
const L3 = 0.22222211134341624;
const L4 = 0.18182889158299903;
const L5 = 0.15331720502376558;
const L6 = 0.1461646325895801;
const LN2 = 0.6931471805599453;

/** sin(g pi / 2) = g (S0 + S1 g^2 + …), |g| <= 1/2. */
const S0 = 1.5707963267948966;
const S1 = -0.6459640975062443;
const S2 = 0.07969262624604301;
const S3 = -0.004681754132340976;
const S4 = 0.0001604411507421909;
const S5 = -3.59864335298231e-6;
const S6 = 5.633933781537854e-8;

/** cos(g pi / 2) = 1 + C1 g^2 + C2 g^4 + …, |g| <= 1/2. */
const C1 = -1.2337005501361697;
const C2 = 0.2536695079010467;
const C3 = -0.02086348076331121;
const C4 = 0.0009192602741831558;
const C5 = -2.520203677046026e-5;
const C6 = 4.710609726757823e-7;
const C7 = -6.321256869628588e-9;

/** High word of sqrt(1/2), where mantissas are cut, and the high word of 1. */
const HALF_ROOT = 0x3fe6a09e;
const ONE = 0x3ff00000;

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
  const r = z * (L0 + z * (L1 + z * (L2 + z * (L3 + z * (L4 + z * (L5 + z * L6))))));
  return ((shifted >> 20) - 1023) * LN2 + (f - s * (f - r));
}

/** 64 bits (high word, low word) as a number in (0, 1], spaced 2^-65 near 0: (w + 1/2) / 2^64. */
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
    const radius = Math.sqrt(-2 * naturalLog(toUnit(words[at] as number, words[at + 1] as number)));
    const turn = words[at + 2] as number;
    const g = (turn << 2) * 2 ** -32 + ((words[at + 3] as number) + 0.5) * 2 ** -62;
    const w = g * g;
    const sine = g * (S0 + w * (S1 + w * (S2 + w * (S3 + w * (S4 + w * (S5 + w * S6))))));
    const cosine = 1 + w * (C1 + w * (C2 + w * (C3 + w * (C4 + w * (C5 + w * (C6 + w * C7))))));
    const quarter = turn >>> 30;
    const swap = quarter & 1;
    out[2 * block + swap] = radius * cosine * (1 - (quarter & 2));
    out[2 * block + 1 - swap] = radius * sine * (1 - ((quarter + 1) & 2));
  }
}
