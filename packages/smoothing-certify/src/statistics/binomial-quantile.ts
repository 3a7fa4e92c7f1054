import { logBetaCdf } from "./beta.ts";

/** `P(X > k)` for X ~ Binomial(n, p), `0 <= p <= 1`. Never below the exact value. */
export function binomialExceeds(k: number, n: number, p: number): number {
  if (k < 0 || (p === 1 && k < n)) return 1;
  if (k >= n || p === 0) return 0;
  const tail = logBetaCdf(k + 1, n - k, p); // P(X >= k + 1)
  const slack = 1e-11 + 4e-16 * Math.sqrt(n) - 1e-14 * tail;
  // below 2^-1022 a number is rounded to a multiple of MIN_VALUE
  return Math.min(1, Math.exp(tail + slack) + Number.MIN_VALUE);
}

/**
 * The fewest successes that X ~ Binomial(n, p) exceeds with probability `rho` at most. Never below the
 * exact quantile.
 */
export function binomialQuantile(n: number, p: number, rho: number): number {
  let [low, high] = [0, n];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (binomialExceeds(middle, n, p) <= rho) high = middle;
    else low = middle + 1;
  }
  return low;
}
