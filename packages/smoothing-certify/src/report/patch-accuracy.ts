import { DmaeError } from "@dmae/core";
import { checkInteger } from "../checks.ts";
import type { LogRow } from "../log/log-row.ts";
import { percentText } from "./percent.ts";
import { kindName, kindOf } from "./radius-kind.ts";
import { type CertifiedRow, certifiedAccuracyIntervals } from "./summary.ts";
import { formatTable } from "./table.ts";

/** What the table needs of a row of `certifyDatasetPatch`, or of one that was read from its log. */
export interface PatchAccuracyRow {
  readonly idx: number;
  readonly correct: 0 | 1;
  /** Side of the largest square patch that is certified. */
  readonly radius: number;
}

/**
 * A table of certified accuracy against the side of a square patch, a line for each run, in % with
 * 95 % intervals over images. `patch 0` is the accuracy without a patch.
 *
 * @param runs rows of `certifyDatasetPatch` by name
 * @param sides sides of patches, in pixels
 * @example
 * console.log(formatPatchAccuracy({ vit: rows, convnet: others }, [2, 3, 5], "markdown"));
 */
export function formatPatchAccuracy(
  runs: Readonly<Record<string, readonly PatchAccuracyRow[]>>,
  sides: readonly number[],
  format: "text" | "markdown" | "latex" = "text",
): string {
  for (const side of sides) checkInteger("formatPatchAccuracy", "a side", side);
  const asked = [0, ...sides];
  const header = ["run", "images", ...asked.map((side) => `patch ${side}`)];
  const body = Object.entries(runs).map(([name, rows]) => {
    checkPatches(name, rows);
    const cells = certifiedAccuracyIntervals(rows as readonly CertifiedRow[], asked).map(
      ({ accuracy, low, high }) =>
        `${percentText(accuracy)} [${percentText(low)}, ${percentText(high)}]`,
    );
    return [name, String(rows.length), ...cells];
  });
  return formatTable([header, ...body], format);
}

function checkPatches(name: string, rows: readonly (PatchAccuracyRow & Partial<LogRow>)[]): void {
  const settings = rows.find(
    ({ settings }) => settings && settings.procedure !== "patch",
  )?.settings;
  if (!settings) return;
  throw new DmaeError(
    "argument",
    `formatPatchAccuracy: rows must be of certifyDatasetPatch, got ${kindName(kindOf(settings))} in ${name}; use formatSummaries for radii`,
  );
}
