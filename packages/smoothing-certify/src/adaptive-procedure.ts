import type { CertificateSettings } from "./certificate.ts";
import { type CertifyResult, certified, nothing } from "./certify-procedure.ts";
import { clopperPearsonLower, clopperPearsonUpper } from "./clopper-pearson.ts";
import { normalQuantile } from "./normal.ts";
import { type Procedure, VoteCounts } from "./procedure.ts";

/** The numbers of an adaptive certification. */
export interface AdaptiveSettings extends CertificateSettings {
  /** Pilot samples: they guess the class and the number of samples that is worth drawing. */
  readonly pilot: number;
  /** Share of the radius that may be given away against `maxSamples` samples. */
  readonly relativeWidth: number;
  readonly maxSamples: number;
}

/**
 * A pilot fixes the class and the size of a fresh sample, whose Clopper-Pearson bound then holds at
 * the full alpha: given the pilot the size is a constant, so nothing is spent on the choice.
 */
export function* adaptiveProcedure(settings: AdaptiveSettings): Procedure<CertifyResult> {
  const { pilot } = settings;
  const guess = new VoteCounts();
  yield [{ stage: "selection", first: 0, count: pilot, collector: guess }];
  const n = sampleSize(guess.counts[guess.top()]!, settings);
  if (n === 0) return nothing(guess.counts, pilot);
  const votes = new VoteCounts();
  yield [{ stage: "estimation", first: 0, count: n, collector: votes }];
  return certified(settings, guess.counts, votes.counts);
}

/**
 * The fewest samples whose radius, if the pilot's share of votes is the truth, is within
 * `relativeWidth` of that of `maxSamples` samples; 0 where the pilot rules a majority out.
 */
export function sampleSize(
  votes: number,
  { alpha, pilot, relativeWidth, maxSamples }: AdaptiveSettings,
): number {
  if (clopperPearsonUpper(votes, pilot, alpha) <= 0.5) return 0;
  const share = (votes + 0.6) / (pilot + 1.2); // a unanimous pilot says p is about 1 - 1 / (2 pilot)
  const score = (n: number) => normalQuantile(clopperPearsonLower(Math.floor(share * n), n, alpha));
  const wanted = (1 - relativeWidth) * score(maxSamples);
  if (!(wanted > 0)) return maxSamples;
  let [low, high] = [1, maxSamples];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (score(middle) >= wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}
