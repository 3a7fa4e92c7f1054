import { expect } from "vitest";

/** How far a value may lie from the expected one: `|a - e| <= absolute + relative * |e|`. */
export interface Tolerance {
  absolute?: number;
  relative?: number;
}

/**
 * Fails where `actual` and `expected` differ in length or by more than the tolerance (default: exactly
 * equal). NaN equals nothing, an infinity only itself; the message names the worst element.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute = 0, relative = 0 }: Tolerance = {},
): void {
  expect(actual.length, "number of elements").toBe(expected.length);
  let worst = -1;
  let excess = 0;
  for (let i = 0; i < actual.length; i++) {
    const a = actual[i]!;
    const e = expected[i]!;
    if (a === e) continue;
    const over = Math.abs(a - e) - (absolute + relative * Math.abs(e));
    if (!(over <= 0) && !(over <= excess)) {
      worst = i;
      excess = Number.isNaN(over) ? Number.POSITIVE_INFINITY : over;
    }
  }
  if (worst >= 0)
    expect.fail(
      `element ${worst} of ${actual.length}: got ${actual[worst]}, expected ${expected[worst]} ` +
        `(absolute ${absolute}, relative ${relative})`,
    );
}

/** The largest `|actual - expected|`; NaN if any element is. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
