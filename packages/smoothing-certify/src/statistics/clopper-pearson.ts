import { DmaeError } from "@dmae/core";
import jStat from "jstat";
import { checkAlpha } from "../checks.ts";
import { logBinomialMass, tailOverMass } from "./binomial.ts";

/** Beyond, sums over a tail take minutes. */
const MOST_VOTES = 2 ** 42;

/**
 * The one-sided Clopper-Pearson lower bound: the p at which `P(Binomial(n, p) >= k) = alpha`, that is
 * `Beta^-1(alpha; k, n - k + 1)`. Whatever the true probability of a vote, it lies below the bound in
 * at most a fraction alpha of all runs.
 *
 * jStat's `beta.inv` gives the starting point, Newton's method on the logarithm of the tail the
 * remaining digits. The result is never above the exact bound and within 1e-12 of it, relative.
 *
 * @param k votes counted, an integer in [0, n]
 * @param n votes drawn, a positive integer
 * @param alpha allowed probability of a bound that is too high, in (0, 1)
 * @example clopperPearsonLower(990, 1000, 0.001) // 0.9778…
 */
export function clopperPearsonLower(k: number, n: number, alpha: number): number {
  checkCount("clopperPearsonLower", k, n);
  checkAlpha("clopperPearsonLower", alpha);
  if (k === 0) return 0;
  const p = k === n ? Math.exp(Math.log(alpha) / n) : solve(k, n, alpha);
  return roundDown(p, k, n, alpha);
}

/**
 * The one-sided Clopper-Pearson upper bound: the p at which `P(Binomial(n, p) <= k) = alpha`. Never
 * below the exact bound.
 *
 * @param k votes counted, an integer in [0, n]
 * @param n votes drawn, a positive integer
 * @param alpha allowed probability of a bound that is too low, in (0, 1)
 */
export function clopperPearsonUpper(k: number, n: number, alpha: number): number {
  checkCount("clopperPearsonUpper", k, n);
  checkAlpha("clopperPearsonUpper", alpha);
  if (k === n) return 1;
  return Math.min(1, (1 - clopperPearsonLower(n - k, n, alpha)) * (1 + 2 ** -52));
}

/**
 * Newton's method for `ln P(X >= k) = ln alpha`. The left side is concave in p, so every step ends
 * on the side of the root where the bound is too low. For alpha above 1/2 the complements are solved for.
 */
function solve(k: number, n: number, alpha: number): number {
  const start = jStat.beta.inv(alpha, k, n - k + 1);
  // where jStat has none: below the root, as P(X >= k) <= (n p)^k
  let p = start > 0 && start < 1 ? start : alpha ** (1 / k) / n;
  for (let step = 0; step < 60; step++) {
    const next = alpha <= 0.5 ? p - tailStep(p, k, n, alpha) : p + complementStep(p, k, n, alpha);
    if (Math.abs(next - p) <= 2e-16 * p) return next;
    p = next > 0 ? (next < 1 ? next : (1 + p) / 2) : p / 2;
  }
  return p;
}

function tailStep(p: number, k: number, n: number, alpha: number): number {
  const { tail, ratio } = logTail(k, n, p, 1 - p);
  return ((tail - Math.log(alpha)) * p * ratio) / k;
}

/** Fewer than k successes are at least `n - k + 1` failures. */
function complementStep(p: number, k: number, n: number, alpha: number): number {
  const rest = n - k + 1;
  const { tail, ratio } = logTail(rest, n, 1 - p, p);
  return ((tail - Math.log1p(-alpha)) * (1 - p) * ratio) / rest;
}

function logTail(k: number, n: number, p: number, q: number): { tail: number; ratio: number } {
  const ratio = tailOverMass(k, n, p, q);
  return { tail: logBinomialMass(k, n, p, q) + Math.log(ratio), ratio };
}

/** Lowers `p` until its tail lies under alpha by more than the rounding of the tail itself. */
function roundDown(p: number, k: number, n: number, alpha: number): number {
  let low = p;
  for (let step = 2 ** -53; ; step *= 2) {
    if (isSafe(low, k, n, alpha)) return low;
    low = p * (1 - step);
  }
}

/**
 * Whether `P(Binomial(n, p) >= k) <= alpha` for certain. Above 1/2 the complement is compared: a
 * probability next to 1 has lost the digits that tell it from alpha.
 */
function isSafe(p: number, k: number, n: number, alpha: number): boolean {
  const target = alpha <= 0.5 ? Math.log(alpha) : Math.log1p(-alpha);
  const slack = rounding(k, n, -target);
  if (alpha <= 0.5) return logTail(k, n, p, 1 - p).tail <= target - slack;
  return logTail(n - k + 1, n, 1 - p, p).tail >= target + slack;
}

/**
 * What the logarithm of a tail of `exp(-size)` may be off by: `n p` and `n q` are rounded, which counts in proportion to
 * `k - n p`, about `sqrt(2 size n p q)`; and deviances cancel, where there are successes and failures enough.
 */
function rounding(k: number, n: number, size: number): number {
  const fewer = Math.min(k, n - k);
  const means = Math.sqrt(fewer + 1) * Math.max(1, Math.sqrt(size) / 5);
  return 5e-13 + 4e-15 * (means + Math.min(fewer, Math.max(0, size - 25)));
}

function checkCount(caller: string, k: number, n: number): void {
  if (!Number.isSafeInteger(n) || n < 1)
    throw new DmaeError("argument", `${caller}: n must be a positive integer, got ${n}`);
  if (n > MOST_VOTES)
    throw new DmaeError("argument", `${caller}: n must be at most ${MOST_VOTES}, got ${n}`);
  if (!Number.isSafeInteger(k) || k < 0 || k > n)
    throw new DmaeError("argument", `${caller}: k must be an integer in [0, ${n}], got ${k}`);
}
