const LOG_TWO_PI = 1.8378770664093453;

/**
 * What Stirling's formula leaves of the gamma function:
 * `ln Gamma(z) = (z - 1/2) ln z - z + ln(2 pi)/2 + stirlingError(z)`, for `z > 0`.
 */
export function stirlingError(z: number): number {
  if (z < 15) {
    // ln Gamma(z) = ln Gamma(z + m) - ln(z (z+1) … (z+m-1))
    const shift = Math.ceil(15 - z);
    const high = z + shift;
    let product = 1;
    for (let i = 0; i < shift; i++) product *= z + i;
    const logGamma = stirling(high) + series(high) - Math.log(product);
    return logGamma - stirling(z);
  }
  return series(z);
}

function stirling(z: number): number {
  return (z - 0.5) * Math.log(z) - z + LOG_TWO_PI / 2;
}

function series(z: number): number {
  const s = 1 / (z * z);
  return (
    (1 / 12 -
      s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - (s * 691) / 360360))))) /
    z
  );
}

/**
 * The deviance part `x ln(x / mean) + mean - x`, without the cancellation that the plain formula
 * suffers where x is near its mean (Loader, "Fast and accurate computation of binomial
 * probabilities", 2000).
 */
export function deviance(x: number, mean: number): number {
  if (x === 0) return mean;
  const v = (x - mean) / (x + mean);
  if (Math.abs(v) >= 0.1) return x * Math.log(x / mean) + mean - x;
  // x ln(x/mean) = 2 x atanh(v) with mean - x = -v (x + mean)
  let sum = (x - mean) * v;
  let power = 2 * x * v;
  for (let k = 3; ; k += 2) {
    power *= v * v;
    const next = sum + power / k;
    if (next === sum) return sum;
    sum = next;
  }
}

/**
 * `ln P(X = k)` for X ~ Binomial(n, p), `q = 1 - p` given beside p so that neither loses digits.
 * Integers `0 <= k <= n`, `0 < p < 1`.
 */
export function logBinomialMass(k: number, n: number, p: number, q: number): number {
  if (k === 0) return n * (p < 0.5 ? Math.log1p(-p) : Math.log(q));
  if (k === n) return n * (q < 0.5 ? Math.log1p(-q) : Math.log(p));
  const rest = n - k;
  return (
    stirlingError(n) -
    stirlingError(k) -
    stirlingError(rest) -
    deviance(k, n * p) -
    deviance(rest, n * q) +
    (Math.log(n / k / rest) - LOG_TWO_PI) / 2
  );
}

/**
 * `P(X >= k) / P(X = k)`: a sum of positive terms, so exact to rounding. It ends as soon as the
 * terms no longer count.
 */
export function tailOverMass(k: number, n: number, p: number, q: number): number {
  const odds = p / q;
  let term = 1;
  let sum = 1;
  for (let i = k; i < n; i++) {
    term *= ((n - i) / (i + 1)) * odds;
    sum += term;
    if (term < 1e-18 * sum && (n - i) * odds < i + 1) break;
  }
  return sum;
}

/** `ln P(X >= k)` for X ~ Binomial(n, p) with `k >= 1`. */
export function logBinomialTail(k: number, n: number, p: number, q = 1 - p): number {
  return logBinomialMass(k, n, p, q) + Math.log(tailOverMass(k, n, p, q));
}

/**
 * The two-sided binomial test of `p = 1/2` for `count1` against `count2` votes, as in PREDICT (Cohen
 * et al. 2019): the smallest alpha at which the first class wins over the second. Never below the
 * exact value.
 */
export function binomialPValue(count1: number, count2: number): number {
  if (count1 === count2) return 1;
  const n = count1 + count2;
  const tail = logBinomialTail(Math.max(count1, count2), n, 0.5, 0.5);
  const raised = Math.exp(tail + 1e-13 + 1e-15 * (Math.sqrt(n) - tail));
  // below 2^-1022 a number is rounded to a multiple of MIN_VALUE
  return Math.min(1, 2 * raised + Number.MIN_VALUE);
}
