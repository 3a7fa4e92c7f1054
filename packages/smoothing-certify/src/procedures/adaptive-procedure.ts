import jStat from "jstat";
import { type Procedure, VoteCounts } from "../run/procedure.ts";
import type { CertificateSettings } from "../statistics/certificate.ts";
import { clopperPearsonUpper } from "../statistics/clopper-pearson.ts";
import { normalQuantile } from "../statistics/normal.ts";
import { type CertifyResult, certified, nothing } from "./certify-procedure.ts";

/** The numbers of an adaptive certification. */
export interface AdaptiveSettings extends CertificateSettings {
  /** First pilot samples: they guess the class and the number of samples that is worth drawing. */
  readonly pilot: number;
  /** Share of the radius that may be given away against `maxSamples` samples. */
  readonly relativeWidth: number;
  readonly maxSamples: number;
}

/** A pilot is doubled as long as it is smaller than this share of the sample that it asks for … */
const PILOT_SHARE = 1 / 10;

/** … and than this share of the most samples there may be. */
const MOST_PILOT = 1 / 32;

/** Equally likely values that stand for what is believed of p after the pilot. */
const NODES = 8;

/**
 * A pilot fixes the class and the size of a fresh sample, whose Clopper-Pearson bound then holds at
 * the full alpha: given the pilot the size is a constant, so nothing is spent on the choice. For the
 * same reason the pilot itself may grow by looking at its votes.
 */
export function* adaptiveProcedure(settings: AdaptiveSettings): Procedure<CertifyResult> {
  const guess = new VoteCounts();
  let drawn = 0;
  let n = 0;
  for (let wanted = settings.pilot; drawn < wanted; wanted = nextPilot(drawn, n, settings)) {
    const count = wanted - drawn;
    yield [{ stage: "selection", first: drawn, count, collector: guess }];
    drawn = wanted;
    n = planned(guess.counts[guess.top()]!, drawn, settings);
  }
  if (n === 0) return nothing(guess.counts, drawn);
  const votes = new VoteCounts();
  yield [{ stage: "estimation", first: 0, count: n, collector: votes }];
  return certified(settings, guess.counts, votes.counts);
}

/** Size of a pilot of which `drawn` samples ask for a sample of `n`; `drawn` where it is large enough. */
export function nextPilot(
  drawn: number,
  n: number,
  { pilot, maxSamples }: Pick<AdaptiveSettings, "pilot" | "maxSamples">,
): number {
  const most = Math.max(pilot, Math.floor(MOST_PILOT * maxSamples));
  return drawn < PILOT_SHARE * n ? Math.min(2 * drawn, most) : drawn;
}

/** Plans of a run: most of its pilots end in the same few ways. */
const plans = new WeakMap<AdaptiveSettings, Map<string, number>>();

/** {@link sampleSize}, worked out once for each outcome of a pilot. */
export function planned(votes: number, drawn: number, settings: AdaptiveSettings): number {
  const known = plans.get(settings) ?? new Map<string, number>();
  plans.set(settings, known);
  const name = `${votes} of ${drawn}`;
  const n = known.get(name) ?? sampleSize(votes, drawn, settings);
  known.set(name, n);
  return n;
}

/**
 * The fewest samples whose radius is expected to be within `relativeWidth` of that of `maxSamples`
 * samples; 0 where the pilot rules a majority out.
 *
 * Expected over what `votes` of `drawn` say about p: the posterior of Jeffreys' prior, in quantiles. The
 * share of votes itself as p would promise too much, since the radius falls faster where p is
 * smaller than it rises where p is larger.
 */
export function sampleSize(
  votes: number,
  drawn: number,
  { alpha, relativeWidth, maxSamples }: Omit<AdaptiveSettings, "pilot">,
): number {
  if (clopperPearsonUpper(votes, drawn, alpha) <= 0.5) return 0;
  const others = Array.from({ length: NODES }, (_, i) =>
    jStat.beta.inv((i + 0.5) / NODES, drawn - votes + 0.5, votes + 0.5),
  );
  const score = (n: number) => others.reduce((sum, q) => sum + plannedScore(q, n, alpha), 0);
  const wanted = (1 - relativeWidth) * score(maxSamples);
  if (!(wanted > 0)) return maxSamples;
  let [low, high] = [1, maxSamples];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (score(middle) >= wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Radius by sigma that n samples give where a share `q` of them is for other classes. */
function plannedScore(q: number, n: number, alpha: number): number {
  const others = q * n; // no integer: this plans a sample, it bounds nothing
  const lower = jStat.beta.inv(alpha, n - others, others + 1);
  return Math.max(0, normalQuantile(Math.min(lower, 1 - 2 ** -53)));
}
