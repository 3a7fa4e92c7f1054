import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkAlpha, checkInteger, checkPositive } from "../checks.ts";
import type { LogRow } from "../log/log-row.ts";
import { type LogNumbers, radiusTable, thinnedRow, votesOf } from "./thinned.ts";

/** Options of {@link compare}. */
export interface CompareOptions {
  /** Radii of the certified accuracies; default 0, 0.25 … 1. */
  readonly radii?: readonly number[];
  /** Samples that both logs are brought to; default: the smaller n of the two. */
  readonly n?: number;
  /** sigma, alpha and n of a log that does not hold them, as those of other tools. */
  readonly published?: LogNumbers;
}

/** A difference `b - a` with its paired 95 % interval. */
export interface PairedDifference {
  readonly a: number;
  readonly b: number;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
}

/** What {@link compare} finds. */
export interface Comparison {
  /** Common images. */
  readonly images: number;
  /** Samples that both were brought to. */
  readonly n: number;
  readonly radii: readonly number[];
  /** Certified accuracy at each radius. */
  readonly accuracy: readonly PairedDifference[];
  /** Average certified radius. */
  readonly averageRadius: PairedDifference;
}

/**
 * Compares two logs on their common images and at a common n. A row with more votes counts with its
 * expectation over n of them, drawn without replacement (hypergeometric), which is exact and needs no seed.
 * The votes of a log that has none are read off its radius. The interval is the normal one of the mean of
 * the paired differences: it covers the choice of the images, not alpha.
 *
 * @throws {DmaeError} "argument" without common images, for other labels, other sigma or alpha, for rows
 *   of other procedures than `certify`, and for a log without settings where `published` is missing
 * @example
 * const { averageRadius } = compare(await readLog("a.tsv"), await readLog("b.tsv"));
 */
export function compare(
  a: readonly LogRow[],
  b: readonly LogRow[],
  options: CompareOptions = {},
): Comparison {
  checkOptions("compare", options, {
    radii: true,
    n: true,
    published: { sigma: true, alpha: true, n: true },
  });
  const { radii = [0, 0.25, 0.5, 0.75, 1], n: asked, published } = options;
  const others = new Map(b.map((row) => [row.idx, row]));
  const pairs = a.flatMap((row) =>
    others.has(row.idx) ? [[row, others.get(row.idx)!] as const] : [],
  );
  if (pairs.length === 0) throw bad("the logs must have common images");
  for (const [left, right] of pairs)
    if (left.label !== right.label)
      throw bad(
        `both logs must have the same labels, got ${left.label} and ${right.label} for image ${left.idx}`,
      );
  const all = pairs.flat().map((row) => numbersOf(row, published));
  const { sigma, alpha } = all[0]!;
  if (all.some((other) => other.sigma !== sigma || other.alpha !== alpha))
    throw bad("all rows must have the same sigma and alpha; recertify a log to change its alpha");
  const n =
    asked ?? all.reduce((least, other) => Math.min(least, other.n), Number.POSITIVE_INFINITY);
  checkInteger("compare", "n", n);
  const thin = thinning({ sigma, alpha, n }, radii, published);
  const left = pairs.map(([row]) => thin(row));
  const right = pairs.map(([, row]) => thin(row));
  const difference = (of: (row: ReturnType<typeof thin>) => number) =>
    paired(left.map(of), right.map(of));
  return {
    images: pairs.length,
    n,
    radii,
    accuracy: radii.map((_, i) => difference((row) => row.certified[i]!)),
    averageRadius: difference((row) => row.radius),
  };
}

/** What a row gives with n votes; rows with the same votes, or the same radius in place of them, share one sum. */
function thinning(numbers: LogNumbers, radii: readonly number[], published?: LogNumbers) {
  const radiusOf = radiusTable(numbers);
  const known = new Map<string, ReturnType<typeof thinnedRow>>();
  return (row: LogRow) => {
    const { n } = numbersOf(row, published);
    const name = `${row.correct} ${n} ${row.counts?.[row.label] ?? `radius ${row.radius}`}`;
    let result = known.get(name);
    if (!result) {
      result = thinnedRow(votesOf(row, { ...numbers, n }), numbers.n, radiusOf, radii);
      known.set(name, result);
    }
    return result;
  };
}

function numbersOf({ idx, settings }: LogRow, published?: LogNumbers): LogNumbers {
  const numbers = settings ?? published;
  if (!numbers)
    throw bad(`image ${idx} does not say its sigma, alpha and n; give them as published`);
  if (
    settings &&
    (settings.procedure !== "certify" || settings.topK || settings.bound === "two-class")
  )
    throw bad(`rows must be of certify with the one-class bound, image ${idx} is not`);
  if (
    settings &&
    ((settings.norm ?? "l2") !== "l2" || settings.distribution || settings.totalVariation)
  )
    throw bad(`rows must be of ordinary Gaussian noise in l2, image ${idx} is not`);
  checkPositive("compare", "sigma", numbers.sigma);
  checkAlpha("compare", numbers.alpha);
  checkInteger("compare", "n", numbers.n);
  return numbers;
}

/** Mean of `b - a` with 1.96 standard errors on both sides. */
function paired(a: readonly number[], b: readonly number[]): PairedDifference {
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const differences = a.map((value, i) => b[i]! - value);
  const difference = mean(differences);
  const variance = mean(differences.map((d) => (d - difference) ** 2));
  const half = 1.959963984540054 * Math.sqrt(variance / Math.max(1, a.length - 1));
  return { a: mean(a), b: mean(b), difference, low: difference - half, high: difference + half };
}

const bad = (problem: string) => new DmaeError("argument", `compare: ${problem}`);
