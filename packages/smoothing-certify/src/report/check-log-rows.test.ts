import { describe, expect, it } from "vitest";
import type { LogRow, LogSettings } from "../log/log-row.ts";
import { formatSummaries, summarizeLog } from "./analysis.ts";
import { compare } from "./compare.ts";
import { formatPatchAccuracy } from "./patch-accuracy.ts";
import { certifiedAccuracySvg } from "./plot.ts";
import {
  averageCertifiedRadius,
  certifiedAccuracy,
  certifiedAccuracyIntervals,
  highProbabilityAccuracy,
  roundingDoubts,
} from "./summary.ts";

const settings = { procedure: "certify", sigma: 0.5, alpha: 0.001, seed: "1" } as LogSettings;
const row = (idx: number, more: Partial<LogRow> = {}) =>
  ({ idx, label: 1, predict: 1, radius: 0.5, correct: 1, time: 0, settings, ...more }) as LogRow;

const reports: Readonly<Record<string, (rows: LogRow[]) => unknown>> = {
  certifiedAccuracy: (rows) => certifiedAccuracy(rows, [0]),
  averageCertifiedRadius,
  certifiedAccuracyIntervals: (rows) => certifiedAccuracyIntervals(rows, [0]),
  highProbabilityAccuracy: (rows) => highProbabilityAccuracy(rows, [0]),
  roundingDoubts: (rows) => roundingDoubts(rows, [0]),
  summarizeLog: (rows) => formatSummaries([summarizeLog({ name: "a", rows })]),
  certifiedAccuracySvg: (rows) => certifiedAccuracySvg([{ name: "a", rows }]),
  compare: (rows) => compare(rows, rows),
};

describe.each(Object.entries(reports))("%s", (name, report) => {
  it.each([
    [{ radius: -1 }, "radius must be a number >= 0, got -1"],
    [{ radius: Number.NaN }, "radius must be a number >= 0, got NaN"],
    [{ radius: "0.5" as never }, 'radius must be a number >= 0, got "0.5"'],
    [{ correct: "0" as never }, 'correct must be 0 or 1, got "0"'],
    [{ label: -1, predict: -1, radius: 0 }, "correct is 1, but the prediction is -1"],
    [{ predict: -1, correct: 0 }, "radius must be 0 where the prediction is -1"],
    [{ label: 2 }, "correct is 1, but the prediction is 1 and the label 2"],
    [{ correct: 0 }, "correct is 0, but the prediction is 1 and the label 1"],
  ] as const)("refuses a row with %j", (more, problem) => {
    const rows = [row(6), row(7, more)];
    const list = name === "compare" ? "a" : "rows";
    expect(() => report(rows)).toThrow(`${name}: image 7 of ${list}: ${problem}`);
  });
});

describe("an image that is there twice", () => {
  const other = { ...settings, seed: "2" };
  const seeds = [row(0), row(1), row(0, { settings: other }), row(1, { settings: other })];

  it("makes an interval over images too narrow, so there is none", () => {
    const problem = "image 0 is there twice, but the interval is one over images";
    expect(() => certifiedAccuracyIntervals(seeds, [0])).toThrow(problem);
    expect(() => summarizeLog({ name: "a", rows: seeds })).toThrow(problem);
    const patches = seeds.map(({ settings: _, ...rest }) => rest);
    expect(() => formatPatchAccuracy({ vit: patches }, [1])).toThrow(problem);
  });

  it("may be of two seeds in a mean, and not twice of one", () => {
    const half = seeds.map((one, i) => ({ ...one, radius: i < 2 ? 0.5 : 0.25 }));
    expect(averageCertifiedRadius(half)).toBe(0.375);
    expect(certifiedAccuracy(half, [0.5])).toEqual([0.5]);
    expect(certifiedAccuracySvg([{ name: "a", rows: half }])).toContain("</svg>");
    const again = [row(3), row(2), row(3, { settings: { ...settings } })];
    const problem = "image 3 is there twice with the same settings; give each row of a run once";
    expect(() => averageCertifiedRadius(again)).toThrow(problem);
    expect(() => certifiedAccuracy(again, [0])).toThrow(problem);
    expect(() => certifiedAccuracySvg([{ name: "a", rows: again }])).toThrow(problem);
  });
});
