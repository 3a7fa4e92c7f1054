import { studentQuantile } from "../statistics/student-t.ts";

/** A difference `b - a` with its paired 95 % interval, which covers the choice of the images. */
export interface PairedDifference {
  readonly a: number;
  readonly b: number;
  readonly difference: number;
  /** Lower end of the interval; NaN for an average radius on a single image. */
  readonly low: number;
  /** Upper end; NaN where the lower one is. */
  readonly high: number;
}

/** The 97.5 % quantile of the normal distribution. */
const NORMAL = 1.959963984540054;

/** The mean difference of a number of each row, with Student's t interval: as wide as the images differ. */
export function meanDifference<T>(
  a: readonly T[],
  b: readonly T[],
  of: (row: T) => number,
): PairedDifference {
  const { count, squares, ...means } = moments(a, b, of);
  const quantile = count < 2 ? Number.NaN : studentQuantile(0.975, count - 1);
  const half = quantile * Math.sqrt(squares / count / (count - 1));
  return { ...means, low: means.difference - half, high: means.difference + half };
}

/**
 * The difference of two shares with the interval of Bonett and Price (2012, Br. J. Math. Stat. Psychol.
 * 65): the normal interval after adding an image with difference 1 and one with -1. So its width is
 * never 0, also where no image has a difference.
 */
export function shareDifference<T>(
  a: readonly T[],
  b: readonly T[],
  of: (row: T) => number,
): PairedDifference {
  const { count, squares, ...means } = moments(a, b, of);
  const { difference } = means;
  const center = (count * difference) / (count + 2);
  const square = (squares + count * difference ** 2 + 2) / (count + 2);
  const half = NORMAL * Math.sqrt((square - center ** 2) / (count + 2));
  return { ...means, low: Math.max(-1, center - half), high: Math.min(1, center + half) };
}

/** The means of both lists, and how the differences spread about theirs. */
function moments<T>(a: readonly T[], b: readonly T[], of: (row: T) => number) {
  const count = a.length;
  const differenceOf = (i: number) => of(b[i]!) - of(a[i]!);
  const sums = { a: 0, b: 0, difference: 0 };
  for (let i = 0; i < count; i++) {
    sums.a += of(a[i]!);
    sums.b += of(b[i]!);
    sums.difference += differenceOf(i);
  }
  const difference = sums.difference / count;
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (differenceOf(i) - difference) ** 2;
  return { count, a: sums.a / count, b: sums.b / count, difference, squares };
}
