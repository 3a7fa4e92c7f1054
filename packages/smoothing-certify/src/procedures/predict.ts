import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkNumbers } from "../checks.ts";
import type { Classifier } from "../classifier/classifier.ts";
import type { ImageInput } from "../classifier/image.ts";
import { type Procedure, VoteCounts } from "../run/procedure.ts";
import { type ResultOf, runOne, type SingleOptions, singleNames } from "../run/run-one.ts";
import { binomialPValue } from "../statistics/binomial.ts";
import { binomialExceeds, binomialQuantile } from "../statistics/binomial-quantile.ts";
import { ABSTAIN } from "../statistics/radius.ts";

/** Options of {@link predict}. */
export interface PredictOptions extends SingleOptions {
  /** Noisy samples; default 1,000. At alpha = 0.001 ten or fewer can never suffice. */
  readonly n?: number | undefined;
  /** Allowed probability of another class than the smoothed classifier's; default 0.001. */
  readonly alpha?: number | undefined;
}

const predictNames = { ...singleNames, n: true, alpha: true } satisfies OptionNames<PredictOptions>;

/** What PREDICT found out about one input. */
export interface PredictResult {
  /** The class, or `ABSTAIN` (-1). */
  readonly prediction: number;
  /**
   * Two-sided p-value of the hypothesis that the two most voted classes are equally likely; with sound
   * noise it allows for the distance of its copies' distribution.
   */
  readonly pValue: number;
  /** Votes by class. */
  readonly counts: readonly number[];
  /** Whether `prediction` is `ABSTAIN`. */
  readonly abstained: boolean;
  /** Noisy samples drawn. */
  readonly samples: number;
}

/**
 * Predicts with the smoothed classifier (PREDICT; Cohen, Rosenfeld and Kolter 2019): the class with
 * most votes, or `ABSTAIN` unless the two-sided binomial test tells it from the second at level
 * alpha. With probability at least 1 - alpha the result is the smoothed classifier's class, or
 * abstains. Says nothing about a radius.
 *
 * @example
 * const { prediction } = await predict(classify, image, { sigma: 0.25, n: 1000 });
 */
export async function predict(
  classifier: Classifier,
  x: ImageInput,
  options: PredictOptions,
): Promise<ResultOf<PredictResult>> {
  checkOptions("predict", options, predictNames);
  const settings = predictSettings(options);
  return runOne("predict", classifier, x, options, (known) =>
    predictProcedure({ ...settings, ...known }),
  );
}

/** Fills in the defaults of PREDICT and checks the numbers. */
export function predictSettings(options: PredictOptions): { n: number; alpha: number } {
  const { n = 1000, alpha = 0.001 } = options;
  checkNumbers("predict", { n, alpha });
  return { n, alpha };
}

/** The numbers of a PREDICT run. */
export interface PredictSettings {
  readonly n: number;
  readonly alpha: number;
  /** Distance between the distribution of one copy and the one of the guarantee; default 0. */
  readonly totalVariation?: number | undefined;
}

/** PREDICT as a procedure. Its samples are those that CERTIFY estimates with. */
export function* predictProcedure(settings: PredictSettings): Procedure<PredictResult> {
  const { n, alpha } = settings;
  const votes = new VoteCounts();
  yield [{ stage: "estimation", first: 0, count: n, collector: votes }];
  const pValue = pValueOf(votes.counts, settings);
  const abstained = pValue > alpha;
  const prediction = abstained ? ABSTAIN : votes.top();
  return { prediction, pValue, counts: votes.counts, abstained, samples: n };
}

/**
 * The p-value of the two most voted classes. Copies whose distribution is within `totalVariation` of the exact one
 * can be drawn together with exact copies such that each pair differs with at most that probability:
 * all but `d` of the n votes are those of exact copies, and more than d are not with probability
 * `P(Binomial(n, totalVariation) > d)`. So d votes are taken from the first class and given to the second,
 * and this probability is added. d depends on no vote; it is chosen for a tenth of alpha.
 */
function pValueOf(
  counts: readonly number[],
  { n, alpha, totalVariation = 0 }: PredictSettings,
): number {
  const [first = 0, second = 0] = [...counts].sort((a, b) => b - a);
  if (totalVariation === 0) return binomialPValue(first, second);
  const moved = binomialQuantile(n, totalVariation, alpha / 10);
  if (first - moved <= second + moved) return 1;
  const added = binomialExceeds(moved, n, totalVariation);
  return Math.min(1, (binomialPValue(first - moved, second + moved) + added) * (1 + 2 ** -52));
}
