import { publishedLogs, publishedSettings } from "@dmae/fashion-mnist/logs";
import {
  averageCertifiedRadius,
  certifiedAccuracy,
  compare,
  type LogRow,
  readLog,
} from "@dmae/smoothing-certify";

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

const { source, license, alpha } = publishedSettings;

/** Where the published rows come from, for the table's footnote. */
export const publishedNote = (images: number, n: number) =>
  `Published rows: LeNet, the same ${images} images, brought to n = ${n.toLocaleString("en")} as well; from the logs of ${source} (${license}).`;

/**
 * The published methods at this run's sigma, on its images and at its n, by average certified radius; none if no log is
 * published at this sigma or for one of these images.
 */
export async function publishedRows(
  sigma: number,
  ours: readonly LogRow[],
  { radii, n }: { radii: readonly number[]; n: number },
): Promise<TableRow[]> {
  const rows: TableRow[] = [];
  for (const log of publishedLogs.filter((published) => published.sigma === sigma)) {
    const published = { sigma, n: publishedSettings.n, alpha };
    if (n > published.n || ours.some(({ idx }) => idx % 10 !== 0)) continue;
    const found = compare(await readLog(log.url), ours, { radii, n, published });
    rows.push({
      method: log.method,
      accuracies: found.accuracy.map(({ a }) => a),
      acr: found.averageRadius.a,
      ours: false,
    });
  }
  return rows.sort((a, b) => a.acr - b.acr);
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
