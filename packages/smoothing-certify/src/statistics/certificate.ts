import { checkOptions } from "@dmae/core/checks";
import { checkAlpha, checkCounts, checkOneOf, checkPositive, checkProbability } from "../checks.ts";
import type { NoiseDistribution } from "../noise/noise-source.ts";
import { argMax } from "./arg-max.ts";
import { clopperPearsonLower, clopperPearsonUpper } from "./clopper-pearson.ts";
import { type Norm, radiusInNorm, usualNorm } from "./noises-and-norms.ts";
import { ABSTAIN, certifiedRadius } from "./radius.ts";

/** How bounds on class probabilities are obtained from votes. */
export type BoundKind = "one-class" | "two-class";

/** Throws for a bound that there is not. */
export function checkBound(bound: BoundKind | undefined): void {
  if (bound !== undefined) checkOneOf("certify", "bound", bound, ["one-class", "two-class"]);
}

/** What a certificate is computed with, once the votes are there. */
export interface CertificateSettings {
  /** Standard deviation of the noise, in the units of the input. */
  readonly sigma: number;
  /** Allowed probability of a wrong certificate. */
  readonly alpha: number;
  /** Default `"one-class"`, the published protocol. */
  readonly bound?: BoundKind | undefined;
  /** Law of the noise; default `"gaussian"`. */
  readonly distribution?: NoiseDistribution | undefined;
  /** Norm of the radius; default l2 for Gaussian noise, l1 for the others. */
  readonly norm?: Norm | undefined;
  /** Numbers of the input; needed where the norm's radius depends on it. */
  readonly dimension?: number | undefined;
  /** Distance between the distribution of the copies and the one of the guarantee, in [0, 1]; default 0. */
  readonly totalVariation?: number | undefined;
}

/** A certificate. */
export interface Certificate {
  /** The class, or `ABSTAIN` (-1). */
  readonly prediction: number;
  /** Radius in the norm asked for, rounded down; 0 when abstaining. */
  readonly radius: number;
  /** Lower bound on the probability of the guessed class. */
  readonly pLower: number;
  /** Whether `prediction` is `ABSTAIN`. */
  readonly abstained: boolean;
}

/**
 * The certificate that votes give.
 *
 * - `"one-class"`: `pA >= L(kA, n; alpha)`, every other class at most `1 - pA`. The published protocol.
 * - `"two-class"`: `pA >= L(kA, n; 0.9 alpha)` and every other class at most
 *   `max_B U(kB, n; 0.1 alpha)`. No factor for the number of classes is needed: only the true runner-up
 *   must be covered, and the maximum is at least its bound. Larger radii where the rest of the votes is
 *   spread over several classes, and certificates with pA below 1/2. Must be chosen before the votes
 *   are seen.
 *
 * @param counts0 votes of the selection; only their largest class matters
 * @param counts votes of the estimation
 * @throws {DmaeError} "argument" for settings out of range, and for votes that are no integers >= 0
 */
export function certificate(
  settings: CertificateSettings,
  counts0: readonly number[],
  counts: readonly number[],
): Certificate {
  checkOptions("certificate", settings, {
    sigma: true,
    alpha: true,
    bound: true,
    distribution: true,
    norm: true,
    dimension: true,
    totalVariation: true,
  });
  return certificateOf(settings, counts0, counts);
}

/** {@link certificate} for settings that may have others beside them. */
export function certificateOf(
  settings: CertificateSettings,
  counts0: readonly number[],
  counts: readonly number[],
): Certificate {
  const { sigma, alpha, bound = "one-class", totalVariation = 0 } = settings;
  checkBound(bound);
  checkPositive("certificate", "sigma", sigma);
  checkAlpha("certificate", alpha);
  checkProbability("certificate", "totalVariation", totalVariation);
  checkCounts("certificate", "counts0", counts0);
  checkCounts("certificate", "counts", counts);
  const guess = argMax(counts0);
  const n = counts.reduce((sum, count) => sum + count, 0);
  const k = counts[guess] ?? 0;
  if (bound === "one-class") {
    const pLower = subtractDistance(clopperPearsonLower(k, n, alpha), totalVariation);
    return finalizeBound(guess, pLower, pLower > 0.5, radiusOf(settings, pLower));
  }
  const pLower = subtractDistance(clopperPearsonLower(k, n, 0.9 * alpha), totalVariation);
  const most = counts.reduce((most, count, c) => (c === guess ? most : Math.max(most, count)), 0);
  const pUpper = addDistance(clopperPearsonUpper(most, n, 0.1 * alpha), totalVariation);
  const rival = Math.min(pUpper, 1 - pLower);
  return finalizeBound(guess, pLower, pLower > rival, radiusOf(settings, pLower, rival));
}

function finalizeBound(guess: number, pLower: number, sure: boolean, radius: number): Certificate {
  return {
    prediction: sure ? guess : ABSTAIN,
    radius: sure ? radius : 0,
    pLower,
    abstained: !sure,
  };
}

function subtractDistance(pLower: number, totalVariation: number): number {
  return totalVariation === 0 ? pLower : Math.max(0, (pLower - totalVariation) * (1 - 2 ** -52));
}

function addDistance(pUpper: number, totalVariation: number): number {
  return totalVariation === 0 ? pUpper : Math.min(1, (pUpper + totalVariation) * (1 + 2 ** -52));
}

/** The radius for bounds on the class and, unless it is all the rest, on the others. */
function radiusOf(
  {
    sigma,
    distribution = "gaussian",
    norm = usualNorm(distribution),
    dimension,
  }: CertificateSettings,
  pLower: number,
  pUpper?: number,
): number {
  if (distribution === "gaussian" && norm === "l2" && pUpper === undefined)
    return certifiedRadius(pLower, sigma);
  return radiusInNorm({
    pLower,
    sigma,
    distribution,
    norm,
    ...(pUpper !== undefined && { pUpper }),
    ...(dimension !== undefined && { dimension }),
  }).radius;
}
