import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import {
  checkAlpha,
  checkInteger,
  checkNumbers,
  checkOneOf,
  checkPositive,
  refuseOthers,
  show,
} from "../checks.ts";
import type { Classifier } from "../classifier/classifier.ts";
import type { ImageInput } from "../classifier/image.ts";
import type { Outputs } from "../classifier/outputs.ts";
import type { InDimension } from "../run/options.ts";
import type { Collector, Procedure } from "../run/procedure.ts";
import { type ResultOf, runOne, type SingleOptions, singleNames } from "../run/run-one.ts";
import { argMax } from "../statistics/arg-max.ts";
import { type Norm, radiusInNorm } from "../statistics/noises-and-norms.ts";
import { ABSTAIN } from "../statistics/radius.ts";
import type { CertifyOptions } from "./certify.ts";

/** Concentration bounds for soft votes. */
export type SoftBound = "hoeffding" | "bernstein";

/** Options of {@link certifySoft}. */
export interface SoftOptions extends SingleOptions, Pick<CertifyOptions, "n0" | "n" | "alpha"> {
  /** Default `"bernstein"`. */
  readonly bound?: SoftBound | undefined;
  /** The votes are softmax(beta * logits); default 1. */
  readonly beta?: number | undefined;
  /** Norm of the radius; default l2. */
  readonly norm?: Norm | undefined;
}

const softNames = {
  ...singleNames,
  n0: true,
  n: true,
  alpha: true,
  bound: true,
  beta: true,
  norm: true,
} satisfies OptionNames<SoftOptions>;

/** What {@link certifySoft} found out about one input. */
export interface SoftResult {
  /** The class, or `ABSTAIN` (-1). */
  readonly prediction: number;
  /** Certified radius in the norm asked for, 0 when abstaining. */
  readonly radius: number;
  /** Lower bound on the mean vote for the guessed class. */
  readonly pLower: number;
  /** Mean vote for the guessed class. */
  readonly mean: number;
  /** Whether `prediction` is `ABSTAIN`. */
  readonly abstained: boolean;
  /** Noisy samples drawn in all. */
  readonly samples: number;
}

/**
 * Hoeffding's lower bound on the mean of n values in [0, 1]: `mean - sqrt(ln(1/alpha) / (2 n))`.
 */
export function hoeffdingLower(mean: number, n: number, alpha: number): number {
  checkMean("hoeffdingLower", mean, n, alpha);
  return down(mean - Math.sqrt(-Math.log(alpha) / (2 * n)), n);
}

/**
 * The empirical Bernstein lower bound on the mean of n values in [0, 1] with sample variance V
 * (Maurer and Pontil 2009, theorem 4): `mean - sqrt(2 V ln(2/alpha) / n) - 7 ln(2/alpha) / (3 (n - 1))`.
 *
 * @param variance sample variance, with n - 1 in the denominator
 */
export function bernsteinLower(mean: number, variance: number, n: number, alpha: number): number {
  checkMean("bernsteinLower", mean, n, alpha);
  if (n < 2 || !(variance >= 0))
    throw new DmaeError(
      "argument",
      `bernsteinLower: needs n >= 2 and a variance >= 0, got ${n} and ${show(variance)}`,
    );
  const log = Math.log(2 / alpha);
  return down(mean - Math.sqrt((2 * variance * log) / n) - (7 * log) / (3 * (n - 1)), n);
}

function checkMean(caller: string, mean: number, n: number, alpha: number): void {
  checkAlpha(caller, alpha);
  checkInteger(caller, "n", n);
  if (!(mean >= 0 && mean <= 1))
    throw new DmaeError("argument", `${caller}: mean must lie in [0, 1], got ${show(mean)}`);
}

/** A bound below the rounding of the sums of `n` votes that it came from. */
function down(bound: number, n: number): number {
  return Math.max(0, bound - 1e-12 - n * Number.EPSILON);
}

/**
 * Certifies the soft smoothed classifier `argmax_c E softmax(beta f(x + e))_c`: its mean votes obey
 * the same Lipschitz bound as those of classes (Salman et al. 2019, arXiv:1906.04584), so the radius is
 * `sigma Phi^-1(pLower)`. For 0/1 votes Clopper-Pearson, as in {@link certify}, is far tighter. The
 * classifier must return logits.
 *
 * @example
 * const { prediction, radius } = await certifySoft(classify, image, { sigma: 0.25 });
 */
export async function certifySoft(
  classifier: Classifier,
  x: ImageInput,
  options: SoftOptions,
): Promise<ResultOf<SoftResult>> {
  checkOptions("certifySoft", options, softNames);
  const { sigma, n0 = 100, n = 10_000, alpha = 0.001, bound = "bernstein", beta = 1 } = options;
  const { norm = "l2" } = options;
  checkNumbers("certifySoft", { n0, alpha });
  checkInteger("certifySoft", "n", n, 2);
  checkPositive("certifySoft", "beta", beta);
  radiusInNorm({ pLower: 0, sigma, norm, dimension: 1 }); // throws for another norm
  refuseOthers("certifySoft", options, { distribution: "gaussian" });
  checkOneOf("certifySoft", "bound", bound, ["hoeffding", "bernstein"]);
  return runOne("certifySoft", classifier, x, options, (known) =>
    softProcedure({ sigma, n0, n, alpha, bound, beta, norm, ...known }),
  );
}

/** The numbers of a soft certification. */
export interface SoftSettings extends InDimension {
  readonly sigma: number;
  readonly n0: number;
  readonly n: number;
  readonly alpha: number;
  readonly bound: SoftBound;
  readonly beta: number;
  readonly norm: Norm;
}

/** {@link certifySoft} as a procedure. */
export function* softProcedure(settings: SoftSettings): Procedure<SoftResult> {
  const { sigma, n0, n, alpha, bound, beta, totalVariation, norm, dimension } = settings;
  const selection = new SoftVotes(beta);
  const estimation = new SoftVotes(beta);
  yield [
    { stage: "selection", first: 0, count: n0, collector: selection },
    { stage: "estimation", first: 0, count: n, collector: estimation },
  ];
  const guess = argMax(selection.means);
  const mean = Math.min(1, estimation.means[guess]!);
  const variance = estimation.deviations[guess]! / (n - 1);
  const lower =
    bound === "hoeffding"
      ? hoeffdingLower(mean, n, alpha)
      : bernsteinLower(mean, variance, n, alpha);
  const pLower = Math.max(0, lower - totalVariation);
  const abstained = !(pLower > 0.5);
  return {
    prediction: abstained ? ABSTAIN : guess,
    radius: radiusInNorm({ pLower, sigma, norm, dimension }).radius,
    pLower,
    mean,
    abstained,
    samples: n0 + n,
  };
}

/**
 * Means of the soft votes of each class, and sums of their squared deviations, by Welford's updates: a sum of squares less the square of
 * the sum would lose what sets votes near 1 apart.
 */
class SoftVotes implements Collector {
  means: number[] = [];
  deviations: number[] = [];
  private count = 0;

  constructor(private readonly beta: number) {}

  add({ logits, numClasses }: Outputs, from: number, to: number): void {
    if (!logits)
      throw new DmaeError(
        "classifier",
        "certifySoft: the classifier must return logits, got class ids",
      );
    if (this.count === 0) {
      this.means = new Array(numClasses).fill(0);
      this.deviations = new Array(numClasses).fill(0);
    }
    const votes = new Float64Array(numClasses);
    for (let row = from; row < to; row++) {
      softmax(logits, row * numClasses, this.beta, votes);
      this.count++;
      for (let c = 0; c < numClasses; c++) {
        const before = votes[c]! - this.means[c]!;
        this.means[c]! += before / this.count;
        this.deviations[c]! += before * (votes[c]! - this.means[c]!);
      }
    }
  }
}

function softmax(logits: ArrayLike<number>, start: number, beta: number, out: Float64Array): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < out.length; c++) largest = Math.max(largest, logits[start + c]!);
  let sum = 0;
  for (let c = 0; c < out.length; c++) {
    const logit = logits[start + c]!;
    sum += out[c] = logit === largest ? 1 : Math.exp(beta * (logit - largest));
  }
  for (let c = 0; c < out.length; c++) out[c]! /= sum;
}
