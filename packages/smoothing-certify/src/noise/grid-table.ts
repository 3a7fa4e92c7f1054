import { type NormalThresholds, normalThresholds } from "./normal-thresholds.ts";

/** Steps between black and white: pixels are k / 255. */
export const LEVELS = 255;

/** The distribution of grid noise, ready to be drawn from. */
export interface GridTable extends NormalThresholds {
  /**
   * For each value of the top bits of the uniform integer: the first threshold that can exceed it. There
   * are more than 2^16 thresholds from sigma = 15.5 on.
   */
  readonly guide: Uint32Array;
  /** Pixels `(n - reach) / 255` as float32. */
  readonly pixels: Float32Array;
}

const GUIDE_BITS = 12;

let lastTable: { sigma: number; table: GridTable } | undefined;

/** The tables of sigma; the last ones are kept, as they take up to a second. */
export function gridTable(sigma: number): GridTable {
  if (lastTable?.sigma !== sigma) lastTable = { sigma, table: makeGridTable(sigma) };
  return lastTable.table;
}

function makeGridTable(sigma: number): GridTable {
  const exact = normalThresholds(sigma, LEVELS);
  const guide = new Uint32Array(2 ** GUIDE_BITS + 1);
  for (let cell = 0, at = 0; cell < guide.length; cell++) {
    const least = cell * 2 ** (53 - GUIDE_BITS);
    while (at < exact.thresholds.length - 1 && exact.thresholds[at]! <= least) at++;
    guide[cell] = at;
  }
  const length = LEVELS + 2 * exact.reach + 1;
  const pixels = Float32Array.from({ length }, (_, n) => (n - exact.reach) / LEVELS);
  return { ...exact, guide, pixels };
}

/**
 * The number of thresholds that do not exceed the integer k of `uniform = k / 2^53`, which is the step
 * plus `reach`: found by the guide's cell and a binary search within.
 */
export function gridStep(uniform: number, { thresholds, guide }: GridTable): number {
  const u = uniform * 2 ** GUIDE_BITS; // exact, as are the next two lines
  const cell = Math.floor(u);
  const k = u * 2 ** (53 - GUIDE_BITS); // 1/2 where the integer is 0; below every threshold alike
  let low = guide[cell] as number;
  let high = guide[cell + 1] as number;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (k < (thresholds[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return low;
}
