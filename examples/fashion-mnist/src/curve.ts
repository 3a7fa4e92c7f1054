import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError } from "@dmae/core";
import { results } from "./certify-row.ts";
import published from "./published-curves.json" with { type: "json" };
import { runFolder, trainingSeconds } from "./train-row.ts";

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

/** A curve of results/. */
export interface KeptCurve {
  readonly row: string;
  readonly seed: number;
  /** Day of the last epoch that the run had then, ISO. */
  readonly date: string;
  /** Of training and evaluation, on this machine as it was: idle or not. */
  readonly secondsPerEpoch: number;
  readonly points: readonly CurvePoint[];
}

/** Epochs that are kept in results/, as many as {@link publishedCurve} has. */
const KEPT = 10;
const EXTENSION = ".curve.json";

/**
 * The curve of a row from its run; its first epochs are kept in results/. Without a run here, those that were kept.
 *
 * @throws DmaeError "file" where the row has not been run, here or by us
 */
export async function keepCurve(row: string, seed: number): Promise<readonly CurvePoint[]> {
  const folder = runFolder(row, seed);
  const log = join(folder, "log.jsonl");
  if (!existsSync(log)) {
    const kept = keptCurves().find((curve) => curve.row === row && curve.seed === seed);
    if (kept) return kept.points;
  }
  const points = ownCurve(folder);
  const kept: KeptCurve = {
    ...{ row, seed, date: statSync(log).mtime.toISOString().slice(0, 10) },
    secondsPerEpoch: Math.round(trainingSeconds(folder) / points.length),
    points: points.slice(0, KEPT),
  };
  const file = join(results, `${row}-seed-${seed}${EXTENSION}`);
  await writeFile(file, `${JSON.stringify(kept, null, 2)}\n`);
  return points;
}

/** The curves of results/. */
export function keptCurves(): readonly KeptCurve[] {
  const files = readdirSync(results).filter((name) => name.endsWith(EXTENSION));
  return files.map((name) => {
    const kept = JSON.parse(readFileSync(join(results, name), "utf8")) as KeptCurve;
    // JSON has no NaN
    const points = kept.points.map((point) => ({
      ...point,
      trainAccuracy: point.trainAccuracy ?? Number.NaN,
    }));
    return { ...kept, points };
  });
}

/** Heads of the columns of {@link compareCurves}. */
export const curveColumns: readonly string[] = [
  ...["epoch", "train loss", "train accuracy, %", "test loss", "test accuracy, %"],
];

/** Both curves side by side, a row for each epoch of ours: "ours / published". */
export function compareCurves(
  own: readonly CurvePoint[],
  theirs: readonly CurvePoint[],
): readonly (readonly string[])[] {
  const pair = (a: number | undefined, b: number | undefined, digits: number) =>
    [a, b].map((v) => (v === undefined || Number.isNaN(v) ? "-" : v.toFixed(digits))).join(" / ");
  return own.map((mine) => {
    const other = theirs.find(({ epoch }) => epoch === mine.epoch);
    return [
      String(mine.epoch + 1),
      pair(mine.trainLoss, other?.trainLoss, 3),
      pair(mine.trainAccuracy, other?.trainAccuracy, 1),
      pair(mine.testLoss, other?.testLoss, 3),
      pair(mine.testAccuracy, other?.testAccuracy, 1),
    ];
  });
}
