import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  certifiedAccuracyIntervals,
  certifiedAccuracySvg,
  type LogRow,
  type NamedLog,
} from "@dmae/smoothing-certify";
import { certifiedRows } from "./certify-stage.ts";
import { trainedClassifier } from "./classifier.ts";
import { readMeasurements } from "./evaluate-stage.ts";
import { type LossPoint, lossSvg } from "./loss-svg.ts";
import { isClassifierRecipe, type Recipe } from "./recipe.ts";
import { type AccuracyTable, type ReportPage, reportHtml } from "./report-page.ts";
import { logLine, type Run, writeWhole } from "./run.ts";
import { changedFields } from "./settings.ts";

/** Writes `report.html`: our numbers beside the paper's, from whatever the run folder holds. */
export async function reportStage(run: Run): Promise<void> {
  const { recipe, folder, original, data, executor, options } = run;
  const log = await trainingLog(join(folder, recipe.task, "log.jsonl"));
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

/** Logs of this run by noise level, then those of the runs to compare with. */
async function allLogs(run: Run, sigmas: readonly number[]): Promise<NamedLog[]> {
  const logs: NamedLog[] = [];
  const add = async (folder: string, sigma: number, name: string) => {
    const rows = await certifiedRows(folder, sigma);
    if (rows) logs.push({ name, rows });
  };
  for (const sigma of sigmas) await add(run.folder, sigma, `this run, sigma ${sigma}`);
  for (const folder of run.options.compare) {
    const { recipe } = JSON.parse(await readFile(join(folder, "recipe.json"), "utf8")) as {
      recipe: Recipe;
    };
    if (!isClassifierRecipe(recipe)) continue;
    for (const sigma of recipe.certification.sigmas)
      await add(folder, sigma, `${basename(folder)}, sigma ${sigma}`);
  }
  return logs;
}

/** Certified accuracy of every log, the best of them, and what the paper has. */
export function accuracyTable(
  recipe: Recipe,
  logs: readonly NamedLog[],
): AccuracyTable | undefined {
  if (!isClassifierRecipe(recipe) || logs.length === 0) return undefined;
  const { certification, published } = recipe;
  const { radii } = certification;
  const ours = logs.map(({ name, rows }) => ({
    name,
    images: rows.length,
    cells: certifiedAccuracyIntervals(rows as LogRow[], radii).map(
      ({ accuracy, low, high }) => `${percent(accuracy)} [${percent(low)}, ${percent(high)}]`,
    ),
    values: certifiedAccuracyIntervals(rows as LogRow[], radii).map(
      ({ accuracy }) => 100 * accuracy,
    ),
  }));
  const best = radii.map((_, i) => Math.max(...ours.map(({ values }) => values[i]!)));
  const paper = radii.map((radius) => published?.percent[radius.toFixed(2)]);
  return {
    radii,
    rows: [
      ...ours.map(({ name, images, cells }) => ({ name, images: String(images), cells })),
      ...(ours.length > 1
        ? [{ name: "best of these", images: "", cells: best.map((value) => value.toFixed(1)) }]
        : []),
      {
        name: published ? (published.bestOverSigma ? "paper, best over sigma" : "paper") : "paper",
        images: "",
        cells: paper.map((value) => (value === undefined ? "" : value.toFixed(1))),
      },
      {
        name: "difference, points",
        images: "",
        cells: paper.map((value, i) => (value === undefined ? "" : signed(best[i]! - value))),
      },
    ],
    note: published
      ? `Paper: ${published.source}. An empty cell: the number could not be verified.`
      : "No number of the paper for this row could be verified, so its cells are empty.",
  };
}

const percent = (share: number) => (100 * share).toFixed(1);
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
