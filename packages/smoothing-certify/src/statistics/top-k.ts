import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkAlpha, checkCounts, checkInteger, checkPositive } from "../checks.ts";
import { clopperPearsonLower, clopperPearsonUpper } from "./clopper-pearson.ts";
import { normalCdf, normalQuantile } from "./normal.ts";
import { finiteDown } from "./radius.ts";

/** What a top-k radius is computed from. */
export interface TopKOptions {
  /** The class that is to stay among the k most probable ones; not chosen by looking at `counts`. */
  readonly target: number;
  /** How many of the most probable classes count. */
  readonly k: number;
  /** Standard deviation of the Gaussian noise. */
  readonly sigma: number;
  /** Allowed probability of a wrong certificate. */
  readonly alpha: number;
}

/**
 * The l2 radius within which a class stays among the k most probable ones of the smoothed classifier
 * (Jia et al. 2020, arXiv:1912.09899): it leaves only where k rivals reach it, so it stays while
 *
 *     Phi(Phi^-1(L) - r/sigma) > min_{t <= k} Phi(Phi^-1(P_t) + r/sigma) / t
 *
 * with L its lower bound at 0.9 alpha and P_t the sum of the t smallest among the k largest upper bounds
 * of the rivals (each at 0.1 alpha / (classes - 1)), at most 1 - L. Rounded down; 0 where not even the
 * input itself is certified.
 */
export function topKRadius(counts: readonly number[], options: TopKOptions): number {
  checkOptions("topKRadius", options, { target: true, k: true, sigma: true, alpha: true });
  const { target, k, sigma, alpha } = options;
  checkPositive("topKRadius", "sigma", sigma);
  checkAlpha("topKRadius", alpha);
  checkInteger("topKRadius", "k", k);
  checkInteger("topKRadius", "target", target, 0);
  checkCounts("topKRadius", "counts", counts);
  if (target >= counts.length)
    throw new DmaeError(
      "argument",
      `topKRadius: target must be one of the ${counts.length} classes, 0 … ${counts.length - 1}, got ${target}`,
    );
  const n = counts.reduce((sum, count) => sum + count, 0);
  if (k >= counts.length) return Number.POSITIVE_INFINITY;
  const lower = clopperPearsonLower(counts[target]!, n, 0.9 * alpha);
  const share = (0.1 * alpha) / (counts.length - 1);
  const rivals = counts
    .filter((_, c) => c !== target)
    .sort((a, b) => b - a)
    .slice(0, k)
    .map((count) => clopperPearsonUpper(count, n, share))
    .reverse();
  const sums = rivals.map((_, t) =>
    Math.min(
      1 - lower,
      rivals.slice(0, t + 1).reduce((sum, upper) => sum + upper, 0),
    ),
  );
  return finiteDown(sigma * largestShift(lower, sums));
}

/** The largest shift z (to 2^-40) at which the class stays, found by bisection from below. */
function largestShift(lower: number, sums: readonly number[]): number {
  const stays = (z: number) => {
    const own = normalCdf(normalQuantile(lower) - z) * (1 - 1e-12);
    return sums.some((sum, t) => own * (t + 1) > normalCdf(normalQuantile(sum) + z) * (1 + 1e-12));
  };
  if (!stays(0)) return 0;
  let [low, high] = [0, 1];
  while (stays(high)) [low, high] = [high, 2 * high];
  for (let step = 0; step < 45; step++) {
    const middle = (low + high) / 2;
    if (stays(middle)) low = middle;
    else high = middle;
  }
  return low;
}
