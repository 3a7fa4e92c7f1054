import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { LogRow } from "@dmae/smoothing-certify";
import {
  certifiedAccuracyIntervals,
  certifiedAccuracySvg,
  type NamedLog,
} from "@dmae/smoothing-certify/report";
import { certifiedRows } from "./certify-stage.ts";
import { trainedClassifier } from "./classifier.ts";
import { comparedRun } from "./compared-runs.ts";
import { readMeasurements } from "./evaluate-stage.ts";
import { type LossPoint, lossSvg } from "./loss-svg.ts";
import { trainingParts } from "./model-files.ts";
import { isClassifierRecipe, type PublishedAccuracy, type Recipe } from "./recipe.ts";
import { type AccuracyTable, type ReportPage, reportHtml } from "./report-page.ts";
import { logLine, type Run, writeWhole } from "./run.ts";
import { changedFields } from "./settings.ts";

/** Writes `report.html`: our numbers beside the paper's, from whatever the run folder holds. */
export async function reportStage(run: Run): Promise<void> {
  const { recipe, folder, original, data, executor, options } = run;
  const log = await trainingLog(join(folder, trainingParts(recipe)[0]!, "log.jsonl"));
  const logs = isClassifierRecipe(recipe) ? await allLogs(run, recipe.certification.sigmas) : [];
  const classifier = isClassifierRecipe(recipe) ? await trainedClassifier(run, recipe) : undefined;
  const page: ReportPage = {
    title: recipe.name,
    paper: recipe.paper,
    facts: {
      data: `${data.train.name} (${data.layout}), ${data.train.length} training and ${data.test.length} validation images`,
      executor: executor.name,
      seed: String(options.seed),
      source: recipe.training.source ?? "",
      ...(classifier ? { model: classifier.id } : {}),
    },
    changes: changedFields(original, recipe),
    settings: JSON.stringify(recipe, null, 2),
    loss: log.length > 1 ? lossSvg(log) : undefined,
    measurements: classifier ? await readMeasurements(folder, classifier.id) : [],
    table: isClassifierRecipe(recipe) ? accuracyTable(recipe, logs) : undefined,
    curve: logs.length > 0 ? certifiedAccuracySvg(logs) : undefined,
  };
  const file = join(folder, "report.html");
  await writeWhole(file, reportHtml(page));
  run.say(`report: ${pathToFileURL(file)}`);
  await logLine(run, { stage: "report", event: "end", file });
}

/** A log with the noise level that it was certified at. */
export interface RunLog extends NamedLog {
  readonly sigma: number;
  /** True for a log of this run, not of one to compare with. */
  readonly isOwn: boolean;
}

/** Logs of this run by noise level, then those of the runs to compare with. */
async function allLogs(run: Run, sigmas: readonly number[]): Promise<RunLog[]> {
  const logs: RunLog[] = [];
  const add = async (folder: string, sigma: number, name: string, isOwn: boolean) => {
    const rows = await certifiedRows(folder, sigma);
    if (rows) logs.push({ name: `${name}, sigma ${sigma}`, rows, sigma, isOwn });
  };
  for (const sigma of sigmas) await add(run.folder, sigma, "this run", true);
  for (const folder of run.options.compare) {
    const { name, folders, sigmas: theirs } = await comparedRun(folder);
    for (const own of folders)
      for (const sigma of theirs)
        await add(own, sigma, own === folder ? name : `${name}/${basename(own)}`, false);
  }
  return logs;
}

/** Certified accuracy of every log, the best of them, and what is published. */
export function accuracyTable(recipe: Recipe, logs: readonly RunLog[]): AccuracyTable | undefined {
  if (!isClassifierRecipe(recipe) || logs.length === 0) return undefined;
  const { certification, published } = recipe;
  const { radii } = certification;
  const ours = logs.map((log) => ({
    ...log,
    intervals: certifiedAccuracyIntervals(log.rows as LogRow[], radii),
  }));
  const best = (of: typeof ours) =>
    radii.map((_, i) => Math.max(...of.map(({ intervals }) => 100 * intervals[i]!.accuracy)));
  return {
    radii,
    rows: [
      ...ours.map(({ name, rows, intervals }) => ({
        name,
        images: String(rows.length),
        cells: intervals.map(
          ({ accuracy, low, high }) => `${percent(accuracy)} [${percent(low)}, ${percent(high)}]`,
        ),
      })),
      ...(ours.length > 1
        ? [{ name: "best of these", images: "", cells: best(ours).map(points) }]
        : []),
      ...published.flatMap((row) => {
        const own = row.sigma === null ? ours : ours.filter((log) => isOf(row, log));
        return paperRows(row, radii, own.length > 0 ? best(own) : undefined);
      }),
    ],
    note:
      published.length > 0
        ? `Published: ${published.map(({ source }) => source).join("; ")}. An empty cell: no number there.`
        : "No numbers are published for this row.",
  };
}

const isOf = (row: PublishedAccuracy, log: RunLog) => log.isOwn && log.sigma === row.sigma;

/** A published row, and by how many points ours lies above it. */
export function paperRows(
  { percent, sigma, source }: PublishedAccuracy,
  radii: readonly number[],
  ours: readonly number[] | undefined,
): AccuracyTable["rows"] {
  const values = radii.map((radius) => percent[radius.toFixed(2)]);
  const where = sigma === null ? "best over sigma" : `sigma ${sigma}`;
  const name = `${source.startsWith("Table") ? "paper" : "published"}, ${source.split(/[,:]/)[0]}, ${where}`;
  const cells = values.map((value) => (value === undefined ? "" : points(value)));
  if (!ours) return [{ name, images: "", cells }];
  const differences = values.map((value, i) =>
    value === undefined ? "" : signed(ours[i]! - value),
  );
  return [
    { name, images: "", cells },
    { name: "difference, points", images: "", cells: differences },
  ];
}

const percent = (share: number) => points(100 * share);
const points = (value: number) => value.toFixed(1);
const signed = (value: number) => `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(1)}`;

async function trainingLog(file: string): Promise<LossPoint[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as { kind?: string; step: number; loss?: number })
    .filter(
      (line): line is LossPoint & { kind: string } =>
        line.kind === "step" && typeof line.loss === "number",
    );
}
