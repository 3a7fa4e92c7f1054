import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { averageCertifiedRadius, certifiedAccuracy, type LogRow } from "@dmae/smoothing-certify";
import { certifiedRows } from "./certify-stage.ts";
import { comparedRun } from "./compared-runs.ts";
import type { Options } from "./options.ts";
import { type ClassifierRecipe, isClassifierRecipe, type Recipe } from "./recipe.ts";
import { type AccuracyTable, reportHtml } from "./report-page.ts";
import { paperRows } from "./report-stage.ts";
import { writeWhole } from "./run.ts";
import { changedFields } from "./settings.ts";

/** Where the run of a seed lies. */
export const seedFolder = (folder: string, seed: number): string => join(folder, `seed-${seed}`);

/** Certified rows of every seed at one noise level. */
export interface SeedLogs {
  /** The run to compare with; undefined for this one. */
  readonly run?: string;
  readonly sigma: number;
  readonly logs: readonly (readonly LogRow[])[];
}

/** What {@link seedsReport} is about. */
interface SeedRuns {
  readonly original: Recipe;
  readonly settled: Recipe;
  readonly options: Pick<Options, "compare">;
}

/**
 * Writes `seeds.html`, the mean over the seeds beside the paper's numbers, and returns it as lines of text. Runs to
 * compare with may have seeds of their own.
 */
export async function seedsReport(
  { original, settled, options }: SeedRuns,
  folder: string,
  seeds: readonly number[],
): Promise<string[]> {
  if (!isClassifierRecipe(settled)) return [];
  const folders = seeds.map((seed) => seedFolder(folder, seed));
  const levels = await levelsOf(folders, settled.certification.sigmas);
  for (const other of options.compare) {
    const { name: run, folders: theirs, sigmas } = await comparedRun(other);
    for (const level of await levelsOf(theirs, sigmas)) levels.push({ ...level, run });
  }
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

/** The logs of several runs at each noise level. */
const levelsOf = (folders: readonly string[], sigmas: readonly number[]): Promise<SeedLogs[]> =>
  Promise.all(
    sigmas.map(async (sigma) => {
      const found = await Promise.all(folders.map((folder) => certifiedRows(folder, sigma)));
      return { sigma, logs: found.filter((rows) => rows !== undefined) };
    }),
  );

/** Certified accuracy, mean and standard deviation over the seeds, beside the paper's; undefined without a log. */
export function seedsTable(
  { certification, published }: ClassifierRecipe,
  levels: readonly SeedLogs[],
): AccuracyTable | undefined {
  const { radii } = certification;
  const ours = levels
    .filter(({ logs }) => logs.length > 0)
    .map(({ run, sigma, logs }) => {
      const shares = logs.map((rows) => certifiedAccuracy(rows, radii));
      const spreads = radii.map((_, i) => spreadOf(shares.map((share) => 100 * share[i]!)));
      const radius = spreadOf(logs.map((rows) => averageCertifiedRadius(rows)));
      return { run, sigma, logs, spreads, radius };
    });
  if (ours.length === 0) return undefined;
  const rows = ours.map(({ run, sigma, logs, spreads, radius }) => ({
    name: `${run === undefined ? "" : `${run}, `}${count(logs.length)}, sigma ${sigma}, average certified radius ${shown(radius, 3)}`,
    images: String(Math.min(...logs.map(({ length }) => length))),
    cells: spreads.map((spread) => shown(spread, 1)),
  }));
  const paper = published.flatMap((row) => {
    const own = ours.filter(
      ({ run, sigma }) => row.sigma === null || (run === undefined && sigma === row.sigma),
    );
    const best = radii.map((_, i) => Math.max(...own.map(({ spreads }) => spreads[i]!.mean)));
    return paperRows(row, radii, own.length > 0 ? best : undefined);
  });
  return {
    radii,
    rows: [...rows, ...paper],
    note: "Mean ± standard deviation over the seeds (of a sample: divided by the number of seeds less one).",
  };
}

const count = (seeds: number) => `${seeds} ${seeds === 1 ? "seed" : "seeds"}`;

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
