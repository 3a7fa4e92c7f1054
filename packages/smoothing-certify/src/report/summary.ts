import { DmaeError } from "@dmae/core";
import { checkAlpha, checkRadii } from "../checks.ts";
import type { LogRow } from "../log/log-row.ts";
import { binomialQuantile } from "../statistics/binomial-quantile.ts";
import { clopperPearsonLower, clopperPearsonUpper } from "../statistics/clopper-pearson.ts";
import { checkLogRows } from "./check-log-rows.ts";
import { LogDigest } from "./log-digest.ts";
import { checkOnce, checkOnceARun } from "./repeated-image.ts";

/** The part of a row that certified accuracy depends on. */
export type CertifiedRow = Pick<LogRow, "radius" | "correct" | "settings"> &
  Partial<Pick<LogRow, "idx" | "label" | "predict">>;

/**
 * Certified accuracy at each radius: the share of rows that are predicted correctly with a certified
 * radius of at least r. At r = 0 it is the accuracy of the smoothed classifier, abstentions counted
 * as wrong.
 *
 * @param rows one row for each image of the test set; those of a sequential test know only its radius. Rows
 *   of several runs, e.g. of several seeds, give the mean over them.
 * @param radii radii `>= 0`
 * @returns fractions in [0, 1], one for each radius
 * @throws {DmaeError} "argument" for a row that contradicts itself, radii of several kinds, and an image that one run
 *   has twice
 */
export function certifiedAccuracy(
  rows: readonly CertifiedRow[],
  radii: readonly number[],
): number[] {
  const digest = digestOf("certifiedAccuracy", rows);
  checkOnceARun("certifiedAccuracy", rows);
  checkRadii("certifiedAccuracy", radii);
  return radii.map((r) => digest.certifiedShare("certifiedAccuracy", r));
}

/**
 * The average certified radius (Zhai et al. 2020, MACER): the mean over all rows of the radius, 0
 * where the prediction is wrong or abstains.
 *
 * Its weakness (arXiv:2410.06895): a few very large radii on easy images outweigh many images, so read
 * it beside the certified accuracies, not in their place.
 *
 * @param rows as those of {@link certifiedAccuracy}
 * @throws {DmaeError} "argument" as {@link certifiedAccuracy}, and for rows of a sequential test, which know no radius
 *   but its own
 */
export function averageCertifiedRadius(rows: readonly CertifiedRow[]): number {
  const digest = digestOf("averageCertifiedRadius", rows);
  checkOnceARun("averageCertifiedRadius", rows);
  return digest.averageRadius("averageCertifiedRadius");
}

/** A share of a test set with a confidence interval. */
export interface AccuracyInterval {
  /** The share that was measured. */
  readonly accuracy: number;
  /** Lower end of the interval. */
  readonly low: number;
  /** Upper end. */
  readonly high: number;
}

/**
 * Certified accuracy with the two-sided Clopper-Pearson interval of the share of all images from which
 * the rows were drawn at random: what a test set of this size can tell.
 *
 * @param rows each image once
 * @param confidence default 0.95
 */
export function certifiedAccuracyIntervals(
  rows: readonly CertifiedRow[],
  radii: readonly number[],
  confidence = 0.95,
): AccuracyInterval[] {
  const caller = "certifiedAccuracyIntervals";
  const digest = digestOf(caller, rows);
  checkOnce(caller, rows);
  checkAlpha(caller, confidence, "confidence");
  return accuracyIntervals(caller, digest, radii, confidence);
}

/** {@link certifiedAccuracyIntervals} of a log that is not held. */
export function accuracyIntervals(
  caller: string,
  digest: LogDigest,
  radii: readonly number[],
  confidence: number,
): AccuracyInterval[] {
  checkRadii(caller, radii);
  const tail = (1 - confidence) / 2;
  const n = digest.images;
  return radii.map((r) => {
    const k = digest.certifiedCount(caller, r);
    return {
      accuracy: k / n,
      low: clopperPearsonLower(k, n, tail),
      high: clopperPearsonUpper(k, n, tail),
    };
  });
}

/**
 * The share of the test images that are certified with probability `1 - rho` over all noise of the run
 * at once: each certificate may be wrong with probability alpha, independently of the others, so at most
 * `q = min { k : P(Binomial(m, alpha) > k) <= rho }` of m rows are wrong, and `(certified - q) / m`
 * remain, at least 0. (Cohen et al. 2019, appendix, bound q by Bernstein's inequality; this is the
 * exact quantile.)
 *
 * @param alpha of the run; default: the largest alpha of the rows, and never less. Rows without settings,
 *   as other tools write them, need it.
 * @param rho allowed probability that the statement fails; default 0.001
 * @throws {DmaeError} "argument" for an alpha below that of a row, and for rows that share noise: the same
 *   image twice with one seed
 */
export function highProbabilityAccuracy(
  rows: readonly CertifiedRow[],
  radii: readonly number[],
  alpha?: number,
  rho = 0.001,
): number[] {
  const digest = digestOf("highProbabilityAccuracy", rows);
  checkRadii("highProbabilityAccuracy", radii);
  checkAlpha("highProbabilityAccuracy", rho, "rho");
  checkIndependent(rows);
  const wrong = binomialQuantile(rows.length, alphaOf(rows, alpha), rho);
  return radii.map((r) => {
    const count = digest.certifiedCount("highProbabilityAccuracy", r);
    return Math.max(0, count - wrong) / rows.length;
  });
}

/** The alpha that covers every row. */
function alphaOf(rows: readonly CertifiedRow[], alpha?: number): number {
  const most = rows.reduce((most, { settings }) => Math.max(most, settings?.alpha ?? 0), 0);
  if (alpha === undefined && rows.some(({ settings }) => !settings))
    throw new DmaeError(
      "argument",
      "highProbabilityAccuracy: alpha is needed, since not every row says its own; give that of the run",
    );
  checkAlpha("highProbabilityAccuracy", alpha ?? most);
  if (alpha !== undefined && alpha < most)
    throw new DmaeError(
      "argument",
      `highProbabilityAccuracy: alpha must be at least ${most}, that of the rows, got ${alpha}; leave it out, or recertify the rows`,
    );
  return alpha ?? most;
}

/** Refuses rows whose noise has one address: their errors are not independent. */
function checkIndependent(rows: readonly CertifiedRow[]): void {
  const seen = new Set<string>();
  for (const { idx, settings } of rows) {
    if (idx === undefined) continue;
    const address = JSON.stringify([settings?.seed, idx]);
    if (seen.has(address))
      throw new DmaeError(
        "argument",
        `highProbabilityAccuracy: rows must not share noise, but image ${idx} is there twice with ${settings ? `seed ${settings.seed}` : "no seed"}; give one log at a time`,
      );
    seen.add(address);
  }
}

/** How many rows sit so close to a radius that rounding decided. */
export interface RoundingDoubt {
  /** The radius. */
  readonly radius: number;
  /** Correct rows that count as certified there but were perhaps rounded up. */
  readonly rows: number;
}

/**
 * The original Python tools print radii with three significant digits, to the nearest: a radius of 1.745
 * becomes 1.75 and counts at 1.75. Finds where that may have raised the certified accuracy of a log;
 * a log with more digits gives nothing.
 */
export function roundingDoubts(
  rows: readonly CertifiedRow[],
  radii: readonly number[],
): RoundingDoubt[] {
  checkLogRows("roundingDoubts", rows);
  checkRadii("roundingDoubts", radii);
  return doubtsOf(LogDigest.of(rows), radii);
}

/** {@link roundingDoubts} of a log that is not held. */
export function doubtsOf(digest: LogDigest, radii: readonly number[]): RoundingDoubt[] {
  if (!digest.isRounded || digest.hasSettings) return [];
  return radii.flatMap((r) => {
    const inDoubt = (radius: number) =>
      radius >= r && r > 0 && radius - 0.5 * 10 ** (Math.floor(Math.log10(radius)) - 2) < r;
    const count = digest.certified.filter(inDoubt).length;
    return count > 0 ? [{ radius: r, rows: count }] : [];
  });
}

function digestOf(caller: string, rows: readonly CertifiedRow[]): LogDigest {
  checkLogRows(caller, rows);
  if (rows.length === 0)
    throw new DmaeError("argument", `${caller}: rows must be a non-empty array of log rows`);
  return LogDigest.of(rows);
}
