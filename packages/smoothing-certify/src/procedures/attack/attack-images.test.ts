import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ImageDataset } from "@dmae/core";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../../testing/temporary-folder.ts";
import type { ClassifierFunction } from "../../classifier/classifier.ts";
import { readLog, writeLog } from "../../log/log-file.ts";
import type { LogRow } from "../../log/log-row.ts";
import { noiseSource } from "../../noise/noise.ts";
import { soundNoise } from "../../noise/sound-noise.ts";
import { formatSummaries, summarizeLog } from "../../report/analysis.ts";
import { certifiedAccuracySvg } from "../../report/plot.ts";
import { type CertifyDatasetOptions, certifyDataset } from "../certify-dataset.ts";

const folder = temporaryFolders("smoothing-attacked");
const size = 4;
const sigma = 0.25;
/** A halfspace: the exact radius of the smoothed classifier is the distance to the boundary. */
const score = (batch: ArrayLike<number>, row: number) =>
  [0, 1, 2, 3].reduce((sum, i) => sum + (batch[row * size + i]! - 0.5) / 2, 0);
const linear: ClassifierFunction = (batch: Float32Array, [n = 0]: number[]) =>
  Array.from({ length: n }, (_, row) => [-score(batch, row), score(batch, row)]);
/** Images at distances -0.1, 0.1 … 0.35 of the boundary, all of class 1: the first is wrong. */
const distances = [-0.1, 0.1, 0.2, 0.3, 0.35];
const dataset: ImageDataset = {
  name: "halfspace",
  length: distances.length,
  imageShape: [2, 2, 1],
  numClasses: 2,
  get: (i) => ({ image: new Float32Array(size).fill(0.5 + distances[i]! / 2), label: 1 }),
};
const base: CertifyDatasetOptions = {
  ...{ sigma, seed: 5, n0: 20, n: 1000, model: "linear", range: [-1, 2] },
  attack: { n: 1000, samples: 128, rounds: 3 },
};
const run = (more: Partial<CertifyDatasetOptions> = {}) =>
  certifyDataset(linear, dataset, { ...base, ...more });
const untimed = (rows: readonly LogRow[]) => rows.map(({ time, ...row }) => row);

describe("certifyDataset with attack", () => {
  it("bounds every radius from both sides, and says what is right without noise", async () => {
    const rows = await run().toArray();
    expect(rows.map(({ clean }) => clean)).toEqual([0, 1, 1, 1, 1]);
    expect(rows[0]!.attacked).toBe(0);
    for (const { idx, radius, attacked } of rows.slice(1)) {
      expect(radius).toBeLessThanOrEqual(distances[idx]!);
      expect(attacked).toBeGreaterThanOrEqual(distances[idx]!);
      expect(attacked).toBeLessThan(2 * distances[idx]!);
    }
    const certified = await certifyDataset(linear, dataset, {
      ...base,
      attack: undefined,
    }).toArray();
    const numbers = (list: readonly LogRow[]) => list.map(({ radius, counts }) => [radius, counts]);
    expect(numbers(rows)).toEqual(numbers(certified)); // the attack has noise of its own
  });

  it("keeps what it found in the log, and goes on with it", async () => {
    const log = join(folder(), "log.tsv");
    const whole = untimed(await run().toArray());
    await run({ log, max: 2 }).toArray();
    expect(untimed(await run({ log }).toArray())).toEqual(whole);
    expect(untimed(await readLog(log))).toEqual(whole);
    expect(readFileSync(log, "utf8")).toContain("\tcounts\tattacked\tclean\tsigma\t");
    await expect(run({ log, attack: { n: 2000 } }).toArray()).rejects.toThrow(
      "PREDICT with 1000 there",
    );
    await expect(run({ log, attack: undefined }).toArray()).rejects.toMatchObject({
      code: "resume",
    });
  });

  it("finds nothing within a radius that is too small", async () => {
    const rows = await run({ attack: { ...base.attack, radius: 0.05 } }).toArray();
    const log = join(folder(), "log.tsv");
    await writeLog(log, rows);
    expect((await readLog(log)).map(({ attacked }) => attacked)).toEqual([
      0,
      ...Array(4).fill(Infinity),
    ]);
  });

  it.each<[Partial<CertifyDatasetOptions>, string]>([
    [{ norm: "l1" }, 'attack is there for l2 and linf and ordinary Gaussian noise, got norm "l1"'],
    [{ distribution: "uniform" }, 'distribution "uniform"'],
    [{ sound: true, range: [0, 1] }, "sound true"],
    [{ noise: soundNoise({ seed: 5, sigma }), range: [0, 1] }, "sound true"],
    [{ noise: noiseSource({ seed: 5, sigma, distribution: "laplace" }) }, 'distribution "laplace"'],
    [{ attack: { radius: 0 } }, "certifyDataset: attack: radius must be a finite number above 0"],
    [{ attack: { step: 3 } as object }, 'unknown option "attack.step"'],
  ])("refuses %j", async (more, message) => {
    await expect(run(more).toArray()).rejects.toThrow(message);
  });
});

describe("a log of a run that attacked", () => {
  const row = (idx: number, radius: number, attacked: number): LogRow => ({
    ...{ idx, label: 1, predict: 1, correct: 1, time: 0, pLower: 0.9, samples: 30 },
    ...{ radius, attacked, clean: idx % 2 === 0 ? 1 : 0, counts0: [0, 10], counts: [0, 20] },
    settings: {
      ...{ procedure: "certify", sigma, alpha: 0.001, n0: 10, n: 20, seed: "1", generator: "g" },
      ...{ dataset: "d", model: "m", attack: "votes", attackAlpha: 0.002 },
    },
  });
  const rows = [row(0, 0.5, 0.75), row(1, 0.5, Infinity), row(2, 0.25, 0.25), row(3, 0.1, 0.6)];

  it("is summarized with both bounds and the test of its certificates", () => {
    const { attacks } = summarizeLog({ name: "log", rows }, [0, 0.5, 0.75, 1]);
    expect(attacks).toEqual({
      clean: 0.5,
      empirical: [1, 0.75, 0.5, 0.25],
      test: { tested: 4, inside: 0, pValue: 1, isFault: false },
    });
    const broken = Array.from({ length: 40 }, (_, idx) => row(idx, 0.5, idx < 5 ? 0.4 : 1));
    const summary = summarizeLog({ name: "broken", rows: broken }, [0, 0.5]);
    // scipy.stats.binom.sf(4, 40, 0.003), SciPy 1.17.1
    expect(summary.attacks!.test).toMatchObject({ tested: 40, inside: 5, isFault: true });
    expect(summary.attacks!.test!.pValue).toBeCloseTo(1.4649936140357243e-7, 14);
    const text = formatSummaries([summary]);
    expect(text).toContain("broken: accuracy in % without noise: 50.0; under attack");
    expect(text).toMatch(/5 of 40 attacks succeeded within the certified radius .*: FAULT/);
  });

  it("is drawn with all three accuracies", () => {
    const svg = certifiedAccuracySvg([{ name: "log", rows }]);
    // axes: 0 … 0.75 is 62 … 624, 0 … 100 % is 350 … 16
    expect(svg).toContain(
      'stroke-dasharray="6 4" points="62.00,16.00 249.33,16.00 249.33,99.50 511.60,99.50 511.60,183.00 624.00,183.00 624.00,266.50 624.00,266.50"',
    );
    expect(svg).toContain('stroke-dasharray="1.5 4" points="62.00,183.00 624.00,183.00"');
    expect(svg).toContain(">log, under attack</text>");
    expect(svg.match(/<polyline/g)).toHaveLength(3);
  });

  it("is not mixed with rows that were not attacked", async () => {
    const { attacked, clean, ...plain } = row(4, 0.5, 1);
    await expect(writeLog(join(folder(), "log.tsv"), [...rows, plain])).rejects.toThrow(
      "rows of one log must all have the same columns, image 4 has others than the first row",
    );
  });
});
