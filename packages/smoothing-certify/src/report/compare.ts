import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkAlpha, checkInteger, checkPositive, checkRadii } from "../checks.ts";
import type { LogRow, LogSettings } from "../log/log-row.ts";
import { checkLogRows } from "./check-log-rows.ts";
import { CommonFacts } from "./common-facts.ts";
import { ComparedLog, type VoteRow } from "./compared-log.ts";
import { meanDifference, type PairedDifference, shareDifference } from "./paired.ts";
import { repeatedImage } from "./repeated-image.ts";
import { type LogNumbers, radiusTable, thinnedRow, votesOf } from "./thinned.ts";

/** Options of {@link compare}. */
export interface CompareOptions {
  /** Radii of the certified accuracies; default 0, 0.25 … 1. */
  readonly radii?: readonly number[] | undefined;
  /** Samples that both logs are brought to; default: the smaller n of the two. */
  readonly n?: number | undefined;
  /** sigma, alpha and n of a log that does not hold them, as those of other tools. */
  readonly published?: LogNumbers | undefined;
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
 * expectation over draws of n of them, without replacement (hypergeometric), which needs no seed; that fewer votes
 * would certify an image on which all abstain is part of it. The votes of a log that has none are read off its radius:
 * those whose radius is nearest to the printed one, and where it abstains it counts as 0, a little too low.
 *
 * The intervals are paired ones over images: Student's t for the average radius, Bonett and Price (2012)
 * for accuracies. They cover the choice of the images, not alpha, and not training: logs of one seed
 * against one seed do not tell how far another seed would move either of them.
 *
 * @throws {DmaeError} "argument" without common images, for an image that a log has twice, for other labels, other
 *   sigma or alpha, other data, shapes or ranges of images where both logs say theirs, for rows of other
 *   procedures than `certify` or of other radii than l2 ones, for a log without settings where `published` is
 *   missing, and for negative radii
 * @example
 * const { averageRadius } = compare(await readLog("a.tsv"), await readLog("b.tsv"));
 */
export function compare(
  a: readonly LogRow[],
  b: readonly LogRow[],
  options: CompareOptions = {},
): Comparison {
  checkLogRows("compare", a, "a");
  checkLogRows("compare", b, "b");
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
  checkRadii("compare", radii);
  const { left, right, common } = pairsOf(a, b, published);
  const n = asked ?? common.n;
  checkInteger("compare", "n", n);
  const thin = thinning({ ...common, n }, radii, published);
  return {
    images: left.length,
    n,
    radii,
    accuracy: radii.map((_, i) => shareDifference(left, right, (row) => thin(row).certified[i]!)),
    averageRadius: meanDifference(left, right, (row) => thin(row).radius),
  };
}

/** The votes of the common images, in the order of the first log. */
function pairsOf(a: ComparedLog, b: ComparedLog, published: LogNumbers | undefined) {
  checkImages("a", a);
  checkImages("b", b);
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

/** The intervals are over images: an image that counts twice makes them too narrow. */
function checkImages(name: string, { images }: ComparedLog): void {
  const image = repeatedImage(images);
  if (image !== undefined)
    throw bad(
      `image ${image} is twice in ${name}, but the interval is one over images, each there once; compare one run with one run`,
    );
}

/** sigma and alpha, which all rows must share, and the smallest n. */
class CommonNumbers {
  numbers: LogNumbers | undefined;
  private readonly checked = new Set<VoteRow>();
  private readonly facts = new CommonFacts();

  constructor(private readonly published: LogNumbers | undefined) {}

  add(image: number, votes: VoteRow): void {
    if (this.checked.has(votes)) return;
    this.checked.add(votes);
    const { settings } = votes;
    const numbers = numbersOf(image, settings, this.published);
    const problem = settings && this.facts.problemOf(settings);
    if (problem) throw bad(problem);
    const { sigma, alpha, n } = this.numbers ?? numbers;
    if (numbers.sigma !== sigma || numbers.alpha !== alpha)
      throw bad(
        `all rows must have the same sigma and alpha, got sigma ${sigma}, alpha ${alpha} and sigma ${numbers.sigma}, alpha ${numbers.alpha}; recertify a log to change its alpha`,
      );
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
    throw bad(
      `image ${idx} does not say its sigma, alpha and n; give them in the option published`,
    );
  if (settings) checkComparable(idx, settings);
  checkPositive("compare", "sigma", numbers.sigma);
  checkAlpha("compare", numbers.alpha);
  checkInteger("compare", "n", numbers.n);
  return numbers;
}

/** Throws unless thinning votes gives the radius that `certify` would have found with as many samples. */
function checkComparable(idx: number, settings: LogSettings): void {
  const { procedure, bound = "one-class", distribution, norm, totalVariation, topK } = settings;
  const refuse = (needed: string, found: string) => {
    throw bad(`rows must be of ${needed}, image ${idx} is of ${found}`);
  };
  if (procedure !== "certify") refuse("certify", procedure);
  if (topK) refuse("the most probable class", `the top ${topK}; compare the logs of the runs`);
  if (bound !== "one-class")
    refuse("the one-class bound", `the ${bound} bound; recertify the log with the other`);
  if (distribution) refuse("Gaussian noise", `${distribution} noise`);
  if (totalVariation) refuse("ordinary Gaussian noise", "sound noise");
  if ((norm ?? "l2") !== "l2") refuse("l2 radii", `${norm} radii; recertify the log in l2`);
}

const bad = (problem: string) => new DmaeError("argument", `compare: ${problem}`);
