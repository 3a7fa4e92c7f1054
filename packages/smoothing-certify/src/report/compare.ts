import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkAlpha, checkInteger, checkPositive } from "../checks.ts";
import type { LogRow, LogSettings } from "../log/log-row.ts";
import { ComparedLog, type VoteRow } from "./compared-log.ts";
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
  return compareLogs(ComparedLog.of(a), ComparedLog.of(b), options);
}

/** {@link compare} of logs that are not held. */
export function compareLogs(
  a: ComparedLog,
  b: ComparedLog,
  options: CompareOptions = {},
): Comparison {
  checkOptions("compare", options, {
    radii: true,
    n: true,
    published: { sigma: true, alpha: true, n: true },
  });
  const { radii = [0, 0.25, 0.5, 0.75, 1], n: asked, published } = options;
  const { left, right, common } = pairsOf(a, b, published);
  const n = asked ?? common.n;
  checkInteger("compare", "n", n);
  const thin = thinning({ ...common, n }, radii, published);
  const difference = (of: (row: ReturnType<typeof thin>) => number) =>
    paired(left, right, (row) => of(thin(row)));
  return {
    images: left.length,
    n,
    radii,
    accuracy: radii.map((_, i) => difference((row) => row.certified[i]!)),
    averageRadius: difference((row) => row.radius),
  };
}

/** The votes of the common images, in the order of the first log. */
function pairsOf(a: ComparedLog, b: ComparedLog, published: LogNumbers | undefined) {
  const others = b.places();
  const common = new CommonNumbers(published);
  const left: VoteRow[] = [];
  const right: VoteRow[] = [];
  a.images.forEach((image, i) => {
    const other = others.get(image);
    if (other === undefined) return;
    if (a.labels[i] !== b.labels[other])
      throw bad(
        `both logs must have the same labels, got ${a.labels[i]} and ${b.labels[other]} for image ${image}`,
      );
    common.add(image, a.votes[i]!);
    common.add(image, b.votes[other]!);
    left.push(a.votes[i]!);
    right.push(b.votes[other]!);
  });
  if (!common.numbers) throw bad("the logs must have common images");
  return { left, right, common: common.numbers };
}

/** sigma and alpha, which all rows must share, and the smallest n. */
class CommonNumbers {
  numbers: LogNumbers | undefined;
  private readonly checked = new Set<VoteRow>();

  constructor(private readonly published: LogNumbers | undefined) {}

  add(image: number, votes: VoteRow): void {
    if (this.checked.has(votes)) return;
    this.checked.add(votes);
    const numbers = numbersOf(image, votes.settings, this.published);
    const { sigma, alpha, n } = this.numbers ?? numbers;
    if (numbers.sigma !== sigma || numbers.alpha !== alpha)
      throw bad("all rows must have the same sigma and alpha; recertify a log to change its alpha");
    this.numbers = { sigma, alpha, n: Math.min(n, numbers.n) };
  }
}

/** What a row gives with n votes; rows with the same votes share one sum. */
function thinning(numbers: LogNumbers, radii: readonly number[], published?: LogNumbers) {
  const radiusOf = radiusTable(numbers);
  const known = new Map<VoteRow, ReturnType<typeof thinnedRow>>();
  return (row: VoteRow) => {
    let result = known.get(row);
    if (!result) {
      const { n } = row.settings ?? published!;
      result = thinnedRow(votesOf(row, { ...numbers, n }), numbers.n, radiusOf, radii);
      known.set(row, result);
    }
    return result;
  };
}

function numbersOf(
  idx: number,
  settings: LogSettings | undefined,
  published: LogNumbers | undefined,
): LogNumbers {
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
function paired<T>(a: readonly T[], b: readonly T[], of: (row: T) => number): PairedDifference {
  const count = a.length;
  const sums = { a: 0, b: 0, difference: 0 };
  for (let i = 0; i < count; i++) {
    sums.a += of(a[i]!);
    sums.b += of(b[i]!);
    sums.difference += of(b[i]!) - of(a[i]!);
  }
  const difference = sums.difference / count;
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (of(b[i]!) - of(a[i]!) - difference) ** 2;
  const half = 1.959963984540054 * Math.sqrt(squares / count / Math.max(1, count - 1));
  const [low, high] = [difference - half, difference + half];
  return { a: sums.a / count, b: sums.b / count, difference, low, high };
}

const bad = (problem: string) => new DmaeError("argument", `compare: ${problem}`);
