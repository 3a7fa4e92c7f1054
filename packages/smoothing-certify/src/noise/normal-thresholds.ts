// The standard normal distribution function to 90 bits and more, in integers: what the thresholds of
// grid noise are rounded from. Numbers are BigInts in units of 2^-BITS.

const BITS = 160n;
const UNIT = 1n << BITS;

/** The thresholds of grid noise, and how far the distribution they give is from the exact one. */
export interface NormalThresholds {
  /**
   * Of the uniform integers 0 … 2^53 - 1, those below `thresholds[i]` and not below
   * `thresholds[i - 1]` stand for the noise `i - reach`; the last threshold is 2^53.
   */
  readonly thresholds: Float64Array;
  /** The noise takes values from `-reach` to `reach`. */
  readonly reach: number;
  /** Upper bound on the total variation distance between the distributions of one noise value and of the exact one. */
  readonly totalVariation: number;
}

/**
 * Thresholds T_i = round(2^53 Phi((2 i + 1) / (2 levels sigma))), i >= 0, and by symmetry
 * T_(-i-1) = 2^53 - T_i: with a uniform 53-bit integer k, the j with T_(j-1) <= k < T_j is the rounding
 * of a normal of standard deviation `levels * sigma` to an integer.
 *
 * With e_i = T_i - 2^53 Phi_i, the probability of j is off by (e_j - e_(j-1)) / 2^53, so the total
 * variation distance is the half sum of |e_j - e_(j-1)| over 2^53; beyond the last threshold, where
 * T is 2^53, the sum telescopes. The e_i are known to 2^-35 (2^-14 where Phi is within 2^-67 of 1); the bound
 * returned is rounded up by more.
 */
export function normalThresholds(sigma: number, levels: number): NormalThresholds {
  const upper: number[] = [];
  let previous = 0n; // e_(i-1), in units of 2^-BITS
  let variation = 0n;
  for (let i = 0; upper.at(-1) !== 2 ** 53; i++) {
    const exact = normalDistribution(ratio(2 * i + 1, sigma, levels)) << 53n;
    const rounded = (exact + UNIT / 2n) >> BITS;
    const error = (rounded << BITS) - exact;
    variation += absolute(i === 0 ? error : error - previous);
    previous = error;
    upper.push(Number(rounded));
  }
  variation += absolute(previous);
  const reach = upper.length - 1;
  const lower = upper.slice(0, reach).reverse();
  return {
    thresholds: Float64Array.from([...lower.map((t) => 2 ** 53 - t), ...upper]),
    reach,
    totalVariation: (Number(variation) / Number(UNIT) + reach * 2 ** -30 + 2 ** -12) * 2 ** -53,
  };
}

const absolute = (value: bigint) => (value < 0n ? -value : value);

/** `odd / (2 * levels * sigma)` in units of 2^-BITS, rounded down; sigma is taken as the exact float64. */
function ratio(odd: number, sigma: number, levels: number): bigint {
  let exponent = 0n;
  let mantissa = sigma;
  for (; !Number.isInteger(mantissa); mantissa *= 2) exponent++; // doubling is exact
  return (BigInt(odd) << (BITS + exponent)) / (2n * BigInt(levels) * BigInt(mantissa));
}

/**
 * Phi(x) for `0 <= x`, in units of 2^-BITS, by the series 1/2 + (x - x^3 / (2 3) + x^5 / (2^2 2! 5) - …)
 * / sqrt(2 pi). Its terms grow to e^(x^2 / 2), below 2^64 where it is used (x < 9.4), and each rounds
 * down once or twice: the result is good to 2^-88.
 */
export function normalDistribution(x: bigint): bigint {
  if (x > (94n * UNIT) / 10n) return UNIT; // 1 - Phi(9.4) < 2^-67
  const square = (x * x) >> BITS;
  let term = x;
  let sum = x;
  for (let n = 1n; term > 0n; n++) {
    term = ((term * square) >> BITS) / (2n * n);
    const part = term / (2n * n + 1n);
    sum += n % 2n === 0n ? part : -part;
  }
  return UNIT / 2n + ((sum * INVERSE_ROOT_TWO_PI) >> BITS);
}

/** 1 / sqrt(2 pi) in units of 2^-BITS, rounded down, from Machin's formula for pi. */
const INVERSE_ROOT_TWO_PI = (() => {
  const pi = 16n * arcTangent(5n) - 4n * arcTangent(239n);
  return squareRoot((UNIT * UNIT * UNIT) / (2n * pi));
})();

/** arctan(1 / n) in units of 2^-BITS. */
function arcTangent(n: bigint): bigint {
  let power = UNIT / n;
  let sum = power;
  for (let k = 3n; power > 0n; k += 2n) {
    power /= n * n;
    sum += k % 4n === 3n ? -power / k : power / k;
  }
  return sum;
}

/** The integer part of a square root, by Newton's method from above. */
function squareRoot(value: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
