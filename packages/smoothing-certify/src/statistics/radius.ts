import { checkPositive, checkProbability } from "../checks.ts";
import { normalQuantile } from "./normal.ts";

/** The prediction of a smoothed classifier that cannot tell at the asked confidence. */
export const ABSTAIN = -1;

/**
 * Lowers a number by a little more than the rounding of a few products: by 2^-49 of it, and by four units
 * of the smallest number, below which float64 has no relative precision.
 */
export function roundedDown(value: number): number {
  return Math.max(0, value * (1 - 2 ** -49) - 4 * Number.MIN_VALUE);
}

/** The same for a finite number: a value too large for float64 becomes its largest number. */
export function finiteDown(value: number): number {
  return roundedDown(Math.min(value, Number.MAX_VALUE));
}

/**
 * The certified l2 radius `sigma * Phi^-1(pLower)` (Cohen et al. 2019, theorem 1 with
 * `pB <= 1 - pA`): if the smoothed classifier's class has probability at least `pLower` under
 * N(0, sigma^2 I), no change of the input shorter than this alters the class. Rounded down; 0 where
 * `pLower <= 1/2`, `Infinity` only at `pLower = 1`.
 *
 * @param pLower lower bound on the probability of the class, in [0, 1]
 * @param sigma standard deviation of the noise, in the units of the input
 * @example certifiedRadius(0.99, 0.25) // 0.5815…
 */
export function certifiedRadius(pLower: number, sigma: number): number {
  checkPositive("certifiedRadius", "sigma", sigma);
  checkProbability("certifiedRadius", "pLower", pLower);
  if (pLower === 1) return Number.POSITIVE_INFINITY;
  return pLower <= 0.5 ? 0 : finiteDown(sigma * normalQuantile(pLower));
}
