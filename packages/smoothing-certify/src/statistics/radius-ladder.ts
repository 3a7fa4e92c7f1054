import { normalCdf } from "./normal.ts";
import { roundedDown } from "./radius.ts";
import { logMixture, sequenceSlack } from "./sequential-test.ts";

/** Rungs of the ladder for one sigma. */
const RUNGS_PER_SIGMA = 100;

/** What a {@link RadiusLadder} depends on. */
export interface LadderSettings {
  readonly sigma: number;
  /** Allowed probability that the radius is ever too large. */
  readonly alpha: number;
  /** Distance between the distribution of one copy and the one of the guarantee; default 0. */
  readonly totalVariation?: number | undefined;
}

/**
 * The largest radius that votes certify so far, valid at every stopping time: rung i is the hypothesis
 * `p <= Phi(i / 100)`, tested by the mixture likelihood ratio of `SequentialTest` at level alpha, and a rung
 * is climbed only once all below it are.
 *
 * Let i be the lowest rung whose hypothesis is true. A radius that is too large has climbed rung i, and the
 * ratio of a true hypothesis ever reaches 1 / alpha with probability alpha at most (Ville). So alpha covers
 * all rungs and all looks together, and the radius that is given away is below sigma / 100 by the grid.
 */
export class RadiusLadder {
  /** Rungs climbed; 0: not even `p <= 1/2` is rejected. */
  private climbed = 0;

  constructor(private readonly settings: LadderSettings) {}

  /** Looks at `successes` votes for the class in n; looks must come in the order of n. */
  look(successes: number, n: number): void {
    const enough = -Math.log(this.settings.alpha) + sequenceSlack(n);
    for (;;) {
      const t = this.threshold(this.climbed);
      // above the share of successes no rung is ever rejected
      if (!(t < 1) || successes <= t * n || logMixture("above", successes, n, t) < enough) return;
      this.climbed++;
    }
  }

  /** Whether the class is certified at all. */
  get isCertified(): boolean {
    return this.climbed > 0;
  }

  /** The certified l2 radius, rounded down; 0 where nothing is certified. */
  get radius(): number {
    const rung = Math.max(0, this.climbed - 1);
    return roundedDown((rung * this.settings.sigma) / RUNGS_PER_SIGMA);
  }

  /** The lower bound on the probability of the class that the radius follows from; 0 where nothing is certified. */
  get pLower(): number {
    if (!this.isCertified) return 0;
    return roundedDown(normalCdf((this.climbed - 1) / RUNGS_PER_SIGMA));
  }

  private threshold(rung: number): number {
    const { totalVariation = 0 } = this.settings;
    return (normalCdf(rung / RUNGS_PER_SIGMA) + totalVariation) * (1 + 2 ** -49);
  }
}
