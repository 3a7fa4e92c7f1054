import { logBeta, logBetaCdf, logBetaSurvival } from "./beta.ts";
import { clopperPearsonLower } from "./clopper-pearson.ts";

/** Jeffreys' prior, as in the Krichevsky-Trofimov estimator. */
const PRIOR = 0.5;

/** Logarithm by which a threshold must be passed, beyond the rounding of the mixture of n votes itself. */
export const sequenceSlack = (n: number) => 1e-9 + 2e-15 * n;

/**
 * The mixture likelihood ratio against `p = t` after `successes` in `n`, in logarithms: the prior
 * Beta(1/2, 1/2) cut to the alternatives on one side of t,
 *
 *     ln M = ln B(a+S, b+n-S) - ln B(a, b) + ln T(a+S, b+n-S) - ln T(a, b) - S ln t - (n-S) ln(1-t)
 *
 * with T the probability that the Beta law lies in (t, 1), or in (0, t).
 */
export function logMixture(
  side: "above" | "below",
  successes: number,
  n: number,
  t: number,
): number {
  const tail = side === "above" ? logBetaSurvival : logBetaCdf;
  const [a, b] = [PRIOR + successes, PRIOR + n - successes];
  const posterior = logBeta(a, b) + tail(a, b, t);
  const prior = logBeta(PRIOR, PRIOR) + tail(PRIOR, PRIOR, t);
  return posterior - prior - successes * Math.log(t) - (n - successes) * Math.log1p(-t);
}

/** What a sequential test says after some votes. */
export type Verdict = "certified" | "futile" | "undecided" | "open";

/** The numbers of a {@link SequentialTest}. */
export interface SequentialTestSettings {
  /** The probability that must be exceeded. */
  readonly threshold: number;
  /** Allowed probability of certifying where `p <= threshold`. */
  readonly alpha: number;
  /** Allowed probability of giving up where `p` is as large as it takes; it costs power, never validity. */
  readonly beta: number;
  /**
   * Votes that an input is worth: it is given up once the votes say that so many could not certify it.
   * Default, and most: `maxSamples`.
   */
  readonly patience?: number | undefined;
  /** Most votes. */
  readonly maxSamples: number;
}

/**
 * Tests `p <= t` on votes as they come, valid at every stopping time.
 *
 * Half of alpha goes to the sequence: for every `p <= t` each likelihood ratio of some `q > t` against
 * t is a supermartingale, so is their mixture, and by Ville's inequality it ever reaches 2 / alpha with
 * probability at most alpha / 2. The other half goes to one Clopper-Pearson look at the last vote.
 *
 * It gives up where the same mixture below some `u >= t` reaches 1 / beta, or where no outcome of the
 * remaining votes could certify. u is the share of votes that a fixed sample of `patience` would have to
 * have: the few inputs next to t take more votes than all others together, and a larger u with a small
 * beta ends them early. When it gives up does not touch validity.
 *
 * The thresholds depend on n alone; they are computed as far as some input got, and shared.
 */
export class SequentialTest {
  /** Fewest successes that certify after n votes; n + 1 where none do. */
  private readonly upper: number[] = [1];
  /** Most successes that give up after n votes; -1 where none do. */
  private readonly lower: number[] = [-1];
  /** Fewest successes that certify at the last vote; more than `maxSamples` where none do. */
  readonly needed: number;

  /** Where `p` is at least this, it gives up by `lower` with probability beta at most; the last vote may still not suffice. */
  readonly worthwhile: number;

  constructor(private readonly settings: SequentialTestSettings) {
    const { threshold, alpha, maxSamples, patience = maxSamples } = settings;
    this.needed = votesNeeded(maxSamples, threshold, alpha / 2);
    const votes = Math.min(patience, maxSamples);
    const share = votesNeeded(votes, threshold, alpha) / votes;
    this.worthwhile = share < 1 ? share : threshold;
  }

  /** The verdict after `n` votes, `successes` of them for the class. */
  verdict(successes: number, n: number): Verdict {
    const { maxSamples } = this.settings;
    if (successes >= this.needed) return "certified"; // more votes can only raise it
    if (successes + maxSamples - n < this.needed) return "futile";
    this.extend(n);
    if (successes >= this.upper[n]!) return "certified";
    if (successes <= this.lower[n]!) return "futile";
    return n >= maxSamples ? "undecided" : "open";
  }

  /** Both thresholds move by at most one success with each vote. */
  private extend(to: number): void {
    const { threshold: t, alpha, beta } = this.settings;
    const certifyAt = Math.log(2 / alpha);
    const giveUpAt = Math.log(1 / beta);
    for (let n = this.upper.length; n <= to; n++) {
      const u = this.upper[n - 1]!;
      this.upper.push(logMixture("above", u, n, t) >= certifyAt + sequenceSlack(n) ? u : u + 1);
      const d = this.lower[n - 1]! + 1;
      this.lower.push(
        logMixture("below", d, n, this.worthwhile) >= giveUpAt + sequenceSlack(n) ? d : d - 1,
      );
    }
  }
}

/** The fewest votes of n whose Clopper-Pearson bound reaches the threshold; n + 1 where none does. */
export function votesNeeded(n: number, threshold: number, alpha: number): number {
  let [low, high] = [0, n + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (clopperPearsonLower(middle, n, alpha) >= threshold) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Votes that an input is worth if nothing else is said: as many as hold 1600 votes against the class at
 * the threshold. On published logs, with a cap of 100,000, 0.25 % of the images are given up that a
 * fixed sample of 100,000 certifies, for half of all votes.
 */
export function defaultPatience(threshold: number): number {
  return Math.ceil(1600 / (1 - threshold));
}
