import { DmaeError } from "@dmae/core";
import { show } from "./checks.ts";
import type { LogRow } from "./log-row.ts";

/** The part of a row that certified accuracy depends on. */
export type CertifiedRow = Pick<LogRow, "radius" | "correct">;

/**
 * Certified accuracy at each radius: the share of rows that are predicted correctly with a certified
 * radius of at least r. At r = 0 it is the accuracy of the smoothed classifier, abstentions counted
 * as wrong.
 *
 * @param rows one row for each image of the test set
 * @param radii radii `>= 0`
 * @returns fractions in [0, 1], one for each radius
 */
export function certifiedAccuracy(
  rows: readonly CertifiedRow[],
  radii: readonly number[],
): number[] {
  checkRows("certifiedAccuracy", rows);
  return radii.map((r) => {
    if (!(r >= 0))
      throw new DmaeError("argument", `certifiedAccuracy: radii must be >= 0, got ${show(r)}`);
    return rows.filter((row) => row.correct && row.radius >= r).length / rows.length;
  });
}

/**
 * The average certified radius (Zhai et al. 2020, MACER): the mean over all rows of the radius, 0
 * where the prediction is wrong or abstains.
 *
 * Its weakness (arXiv:2410.06895): a few very large radii on easy images outweigh many images, so read
 * it beside the certified accuracies, not in their place.
 */
export function averageCertifiedRadius(rows: readonly CertifiedRow[]): number {
  checkRows("averageCertifiedRadius", rows);
  let sum = 0;
  for (const row of rows) if (row.correct) sum += row.radius;
  return sum / rows.length;
}

function checkRows(caller: string, rows: readonly CertifiedRow[]): void {
  if (!Array.isArray(rows) || rows.length === 0)
    throw new DmaeError("argument", `${caller}: rows must be a non-empty array of log rows`);
}
