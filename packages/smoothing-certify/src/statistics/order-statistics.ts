import { binomialExceeds } from "./binomial-quantile.ts";
import { normalCdf, normalQuantile } from "./normal.ts";

/**
 * By what a product of normal quantile and distribution function may be off: both are good to 1e-13, and
 * an argument that is off in its last bit moves the tail at 39 by 4e-13.
 */
const SLACK = 1e-12;

/** What the ranks of {@link quantileRanks} depend on. */
export interface RankSettings {
  /** Number of samples. */
  readonly n: number;
  /** The quantile of the smoothed model, 0.5 for the median. */
  readonly quantile: number;
  /** Radius over sigma. */
  readonly shift: number;
  /** Allowed probability of a wrong bound, for each side. */
  readonly alpha: number;
  /** Distance between the distribution of the copies and the one of the guarantee; default 0. */
  readonly totalVariation?: number | undefined;
}

/**
 * The ranks `1 … n` of the order statistics that bound a quantile wherever the input is moved within the
 * radius (Chiang et al. 2020, arXiv:2007.03730): with `p = Phi(Phi^-1(q) - shift)` a value m below
 * `X_(k)` could be a q-quantile of the moved input only if `P(X < X_(k)) >= p`, of which the probability is
 * at most `P(Binomial(n, p) <= k - 1)`. Likewise from above. 0 and n + 1 stand for no bound at all.
 */
export function quantileRanks(settings: RankSettings): { lower: number; upper: number } {
  const { n, alpha } = settings;
  const [below, above] = shiftedQuantiles(settings);
  return { lower: largestRank(n, below, alpha), upper: n + 1 - largestRank(n, above, alpha) };
}

/** The fewest samples with which both sides have a bound. */
export function fewestSamples(settings: Omit<RankSettings, "n">): number {
  const p = Math.min(...shiftedQuantiles(settings));
  return Math.ceil(Math.log(settings.alpha) / Math.log1p(-p)) + 1;
}

/** Probability below the lower bound and above the upper one, never more than the exact numbers. */
function shiftedQuantiles({
  quantile,
  shift,
  totalVariation = 0,
}: Omit<RankSettings, "n" | "alpha">): [number, number] {
  const z = normalQuantile(quantile);
  const mass = (x: number) => Math.max(0, normalCdf(x) * (1 - SLACK) - totalVariation);
  return [mass(z - shift), mass(-z - shift)];
}

/** The largest k with `P(Binomial(n, p) <= k - 1) <= alpha` for certain. */
function largestRank(n: number, p: number, alpha: number): number {
  const q = Math.min(1, 1 - p + 2 ** -52);
  let [low, high] = [0, n];
  while (low < high) {
    const k = Math.ceil((low + high) / 2);
    if (binomialExceeds(n - k, n, q) <= alpha) low = k;
    else high = k - 1;
  }
  return low;
}
