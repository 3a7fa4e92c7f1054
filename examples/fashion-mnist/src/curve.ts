import { existsSync, readFileSync } from "node:fs";
import { DmaeError } from "@dmae/core";
import published from "./published-curves.json" with { type: "json" };

/** One epoch of a training: means over the epoch, and the test set under one noise draw an image. */
export interface CurvePoint {
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
      mine.epoch,
      pair(mine.trainLoss, other?.trainLoss, 3),
      pair(mine.trainAccuracy, other?.trainAccuracy, 1),
      pair(mine.testLoss, other?.testLoss, 3),
      pair(mine.testAccuracy, other?.testAccuracy, 1),
    ].join("\t");
  });
  return [header, ...lines];
}
