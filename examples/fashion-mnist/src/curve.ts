import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError } from "@dmae/core";
import { results } from "./certify-row.ts";
import published from "./published-curves.json" with { type: "json" };
import { runFolder } from "./train-row.ts";

/** One epoch of a training: means over the epoch, and the test set under one noise draw an image. */
export interface CurvePoint {
  /** From 0. */
  readonly epoch: number;
  readonly trainLoss: number;
  /** In percent; NaN where the published script does not compute it. */
  readonly trainAccuracy: number;
  readonly testLoss: number;
  /** In percent. */
  readonly testAccuracy: number;
}

/** The published curve of a row, as far as it is recorded here: the first ten epochs. */
export function publishedCurve(row: string): readonly CurvePoint[] {
  const rows = (published.runs as Record<string, number[][]>)[row] ?? [];
  return rows.map(([epoch, trainLoss, trainAccuracy, testLoss, testAccuracy]) => ({
    epoch: epoch!,
    trainLoss: trainLoss!,
    trainAccuracy: trainAccuracy === 0 ? Number.NaN : trainAccuracy!,
    testLoss: testLoss!,
    testAccuracy: testAccuracy!,
  }));
}

/**
 * The curve in the log of a run folder; epochs without an evaluation are left out.
 *
 * @throws DmaeError "file" where the row has not been run
 */
export function ownCurve(folder: string): readonly CurvePoint[] {
  const log = `${folder}/log.jsonl`;
  if (!existsSync(log))
    throw new DmaeError("file", `--compare: there is no run in ${folder}; train the row first`);
  const lines = readFileSync(log, "utf8").trim().split("\n");
  const entries = lines.map((line) => JSON.parse(line) as Record<string, number | string>);
  const epochs = entries.filter(({ kind }) => kind === "epoch");
  return epochs.flatMap((epoch, i) => {
    const test = entries.find((e) => e.kind === "evaluation" && e.step === epoch.step);
    if (!test) return [];
    return {
      epoch: i,
      trainLoss: Number(epoch.trainLoss),
      trainAccuracy: 100 * Number(epoch.accuracy),
      testLoss: Number(test.loss),
      testAccuracy: 100 * Number(test.accuracy),
    };
  });
}

/** Epochs that are kept in results/, as many as {@link publishedCurve} has. */
const KEPT = 10;

/**
 * The first epochs of a row's curve: from its run, and then kept in results/; or those that were kept.
 *
 * @throws DmaeError "file" where the row has not been run, here or by us
 */
export async function keepCurve(row: string, seed: number): Promise<readonly CurvePoint[]> {
  const folder = runFolder(row, seed);
  const file = join(results, `${row}-seed-${seed}.curve.json`);
  if (!existsSync(join(folder, "log.jsonl")) && existsSync(file)) return keptCurve(file);
  const curve = ownCurve(folder);
  await writeFile(file, `${JSON.stringify(curve.slice(0, KEPT), null, 2)}\n`);
  return curve;
}

/** A curve of results/. */
export function keptCurve(file: string): readonly CurvePoint[] {
  const points = JSON.parse(readFileSync(file, "utf8")) as CurvePoint[];
  // JSON has no NaN
  return points.map((point) => ({ ...point, trainAccuracy: point.trainAccuracy ?? Number.NaN }));
}

/** Both curves side by side as lines of text, ours first. */
export function compareCurves(
  own: readonly CurvePoint[],
  theirs: readonly CurvePoint[],
): readonly string[] {
  const pair = (a: number | undefined, b: number | undefined, digits: number) =>
    [a, b].map((v) => (v === undefined || Number.isNaN(v) ? "-" : v.toFixed(digits))).join(" / ");
  const header = "epoch\ttrain loss\ttrain accuracy\ttest loss\ttest accuracy (ours / published)";
  const lines = own.map((mine) => {
    const other = theirs.find(({ epoch }) => epoch === mine.epoch);
    return [
      mine.epoch + 1,
      pair(mine.trainLoss, other?.trainLoss, 3),
      pair(mine.trainAccuracy, other?.trainAccuracy, 1),
      pair(mine.testLoss, other?.testLoss, 3),
      pair(mine.testAccuracy, other?.testAccuracy, 1),
    ].join("\t");
  });
  return [header, ...lines];
}
