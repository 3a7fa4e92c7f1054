import { publishedLogs, publishedSettings } from "@dmae/fashion-mnist/logs";
import { averageCertifiedRadius, compare, type LogRow, readLog } from "@dmae/smoothing-certify";
import { expect, test } from "vitest";
import { publishedRows } from "./table.ts";

const catRs = (sigma: number) =>
  publishedLogs.find((log) => log.method.startsWith("CAT-RS") && log.sigma === sigma)!.url;

// Every tenth test image of alinlab/smoothing-catrs at d4bc576, n = 100,000: sums of the printed radii.
test.each([
  [0.25, 0.783, 0.666],
  [0.5, 1.333, 1.159],
  [1, 1.714, 1.595],
])("CAT-RS at sigma %s: ACR %s, and %s at n = 10,000", async (sigma, full, thinned) => {
  const rows = await readLog(catRs(sigma));
  expect(rows).toHaveLength(1000);
  expect(averageCertifiedRadius(rows)).toBeCloseTo(full, 3);
  const published = { sigma, n: publishedSettings.n, alpha: publishedSettings.alpha };
  const { images, averageRadius } = compare(rows, rows, { n: 10_000, published });
  expect(images).toBe(1000);
  expect(averageRadius.a).toBeCloseTo(thinned, 3);
});

test("published rows are of the run's own images and n, or left out", async () => {
  const all = await readLog(catRs(0.25));
  const few = all.filter(({ idx }) => idx % 50 === 0);
  const table = await publishedRows(0.25, few, { radii: [0, 0.5], n: 1000 });
  expect(table.map(({ acr }) => acr.toFixed(3))).toEqual(
    ["0.491", "0.502", "0.511", "0.519", "0.519", "0.522", "0.528"], // rising
  );
  const [row] = table;
  expect(row).toMatchObject({ method: "Gaussian (Cohen et al. 2019)", ours: false });
  expect(row!.accuracies.map((share) => (100 * share).toFixed(1))).toEqual(["93.0", "72.8"]);
  const others: LogRow[] = few.map((row) => ({ ...row, idx: row.idx + 1 }));
  expect(await publishedRows(0.25, others, { radii: [0], n: 1000 })).toEqual([]);
  expect(await publishedRows(0.3, few, { radii: [0], n: 1000 })).toEqual([]);
});
