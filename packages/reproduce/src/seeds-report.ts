import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { averageCertifiedRadius, certifiedAccuracy, type LogRow } from "@dmae/smoothing-certify";
import { certifiedRows } from "./certify-stage.ts";
import { type ClassifierRecipe, isClassifierRecipe, type Recipe } from "./recipe.ts";
import { type AccuracyTable, reportHtml } from "./report-page.ts";
import { paperRows } from "./report-stage.ts";
import { writeWhole } from "./run.ts";
import { changedFields } from "./settings.ts";

/** Where the run of a seed lies. */
export const seedFolder = (folder: string, seed: number): string => join(folder, `seed-${seed}`);

/** Certified rows of every seed at one noise level. */
export interface SeedLogs {
  readonly sigma: number;
  readonly logs: readonly (readonly LogRow[])[];
}

/** Writes `seeds.html`, the mean over the seeds beside the paper's numbers, and returns it as lines of text. */
export async function seedsReport(
  { original, settled }: { readonly original: Recipe; readonly settled: Recipe },
  folder: string,
  seeds: readonly number[],
): Promise<string[]> {
  if (!isClassifierRecipe(settled)) return [];
  const levels = await Promise.all(
    settled.certification.sigmas.map(async (sigma): Promise<SeedLogs> => {
      const found = await Promise.all(
        seeds.map((s) => certifiedRows(seedFolder(folder, s), sigma)),
      );
      return { sigma, logs: found.filter((rows) => rows !== undefined) };
    }),
  );
  const table = seedsTable(settled, levels);
  if (!table) return [];
  const file = join(folder, "seeds.html");
  const page = reportHtml({
    title: `${settled.name}, ${seeds.length} seeds`,
    paper: settled.paper,
    facts: { seeds: seeds.join(", "), source: settled.training.source ?? "" },
    changes: changedFields(original, settled),
    settings: JSON.stringify(settled, null, 2),
    loss: undefined,
    measurements: [],
    table,
    curve: undefined,
  });
  await writeWhole(file, page);
  return [...tableLines(table), `seeds: ${pathToFileURL(file)}`];
}

/** Certified accuracy, mean and standard deviation over the seeds, beside the paper's; undefined without a log. */
export function seedsTable(
  { certification, published }: ClassifierRecipe,
  levels: readonly SeedLogs[],
): AccuracyTable | undefined {
  const { radii } = certification;
  const ours = levels
    .filter(({ logs }) => logs.length > 0)
    .map(({ sigma, logs }) => {
      const shares = logs.map((rows) => certifiedAccuracy(rows, radii));
      const spreads = radii.map((_, i) => spreadOf(shares.map((share) => 100 * share[i]!)));
      const radius = spreadOf(logs.map((rows) => averageCertifiedRadius(rows)));
      return { sigma, logs, spreads, radius };
    });
  if (ours.length === 0) return undefined;
  const rows = ours.map(({ sigma, logs, spreads, radius }) => ({
    name: `${logs.length} seeds, sigma ${sigma}, average certified radius ${shown(radius, 3)}`,
    images: String(Math.min(...logs.map(({ length }) => length))),
    cells: spreads.map((spread) => shown(spread, 1)),
  }));
  const paper = published.flatMap((row) => {
    const own = ours.filter(({ sigma }) => row.sigma === null || sigma === row.sigma);
    const best = radii.map((_, i) => Math.max(...own.map(({ spreads }) => spreads[i]!.mean)));
    return paperRows(row, radii, own.length > 0 ? best : undefined);
  });
  return {
    radii,
    rows: [...rows, ...paper],
    note: "Mean ± standard deviation over the seeds (of a sample: divided by the number of seeds less one).",
  };
}

interface Spread {
  readonly mean: number;
  /** NaN for one value. */
  readonly deviation: number;
}

/** Mean and standard deviation of a sample. */
export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    mean,
    deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : Number.NaN,
  };
}

const shown = ({ mean, deviation }: Spread, digits: number) =>
  Number.isNaN(deviation)
    ? mean.toFixed(digits)
    : `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`;

const tableLines = ({ radii, rows }: AccuracyTable): string[] => [
  ["certified accuracy, %", ...radii.map((radius) => `r = ${radius}`)].join("\t"),
  ...rows.map(({ name, cells }) => [name, ...cells].join("\t")),
];
