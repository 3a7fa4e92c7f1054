import { averageCertifiedRadius, certifiedAccuracy, type LogRow } from "@dmae/smoothing-certify";
import published from "./published.json" with { type: "json" };

/** One method of the table. */
export interface TableRow {
  method: string;
  /** Share of images certified at each radius. */
  accuracies: readonly number[];
  /** Average certified radius. */
  acr: number;
  /** Whether it is this run. */
  ours: boolean;
}

/** Names of the published methods, as their papers write them. */
const names: Readonly<Record<string, string>> = {
  cohen: "Gaussian (Cohen et al. 2019)",
  stab: "Stability (Li et al. 2019)",
  salman: "SmoothAdv (Salman et al. 2019)",
  macer: "MACER (Zhai et al. 2020)",
  consistency: "Consistency (Jeong & Shin 2020)",
  smoothmix: "SmoothMix (Jeong et al. 2021)",
  "cat-rs": "CAT-RS (Jeong et al. 2023)",
};

/** Where the published rows come from, for the table's footnote. */
export const publishedNote = `Published rows: ${published.settings}; recomputed from the logs of ${published.source} (${published.license}). Other images and another n: compare no ACR with this run's.`;

/** The published methods at this sigma, by average certified radius; empty where there are none. */
export function publishedRows(sigma: number, radii: readonly number[]): TableRow[] {
  return published.results
    .filter((result) => result.sigma === sigma)
    .map(({ method, certifiedAccuracy, acr }) => ({
      method: names[method] ?? method,
      accuracies: radii.map(
        (r) => (certifiedAccuracy as Record<string, number>)[r.toFixed(2)] ?? Number.NaN,
      ),
      acr,
      ours: false,
    }))
    .sort((a, b) => a.acr - b.acr);
}

/** This run's row. */
export const ourRow = (
  method: string,
  rows: readonly LogRow[],
  radii: readonly number[],
): TableRow => ({
  method,
  accuracies: certifiedAccuracy(rows, radii),
  acr: averageCertifiedRadius(rows),
  ours: true,
});

/** The table as text for the terminal. */
export function tableText(radii: readonly number[], rows: readonly TableRow[]): string {
  const width = Math.max(...rows.map(({ method }) => method.length));
  const line = (method: string, cells: readonly string[], mark = " ") =>
    `${mark} ${method.padEnd(width)}  ${cells.map((cell) => cell.padStart(8)).join("")}`;
  return [
    line("certified accuracy, %", [...radii.map((r) => `r=${r.toFixed(2)}`), "ACR"]),
    ...rows.map(({ method, accuracies, acr, ours }) =>
      line(
        method,
        [...accuracies.map((a) => (100 * a).toFixed(1)), acr.toFixed(3)],
        ours ? ">" : " ",
      ),
    ),
  ].join("\n");
}
