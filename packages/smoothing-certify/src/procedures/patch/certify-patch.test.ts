import { join } from "node:path";
import type { ImageDataset } from "@dmae/core";
import { foldIn, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../../testing/temporary-folder.ts";
import type { Classifier } from "../../classifier/classifier.ts";
import { readLog } from "../../log/log-file.ts";
import type { LogRow } from "../../log/log-row.ts";
import { mergeLogs } from "../../log/merge.ts";
import { recertify } from "../../log/recertify.ts";
import { summarizeLog } from "../../report/analysis.ts";
import { formatPatchAccuracy } from "../../report/patch-accuracy.ts";
import { certifiedAccuracySvg } from "../../report/plot.ts";
import {
  certifyDatasetPatch,
  certifyPatch,
  type PatchDatasetOptions,
  type PatchRow,
} from "./certify-patch.ts";
import { marginOf } from "./patch-procedure.ts";

const folder = temporaryFolders("smoothing-patch");
const numClasses = 3;

/** Classes that follow from a hash of a copy's pixels, class `bias` more often than the others. */
const hashed =
  (seed: string, bias: number, share: number): Classifier =>
  (batch: Float32Array, [n = 0, ...shape]: number[]) => {
    const size = shape.reduce((product, length) => product * length, 1);
    return Int32Array.from({ length: n }, (_, row) => {
      const text = Array.from(batch.subarray(row * size, (row + 1) * size)).join();
      const random = generator(foldIn(key(seed), text));
      return random() < share ? bias : Math.floor(random() * numClasses);
    });
  };

/** The vote by definition: columns of 1 pixel of a 2 x 5 image, zeros elsewhere. */
function voteOf(classify: Classifier, image: readonly number[]): number {
  const counts = [0, 0, 0];
  for (let band = 0; band < 5; band++) {
    const copy = Float32Array.from(image, (value, i) => (i % 5 === band ? value : 0));
    const [c] = (classify as (b: Float32Array, s: number[]) => Int32Array)(copy, [1, 2, 5]);
    counts[c!]!++;
  }
  return counts.indexOf(Math.max(...counts));
}

describe("certifyPatch against every patch there is", () => {
  it("no certified prediction changes, whatever binary pixels a patch holds", async () => {
    let certified = 0;
    for (let trial = 0; trial < 40; trial++) {
      const classify = hashed(`trial ${trial}`, trial % numClasses, 0.85);
      const random = generator(key(`image ${trial}`));
      const image = Array.from({ length: 10 }, () => (random() < 0.5 ? 0 : 1));
      const options = {
        ablation: { columns: 1 },
        patch: [2, 1] as const,
        numClasses,
        checkRows: false,
      };
      const result = await certifyPatch(classify, { data: image, shape: [2, 5] }, options);
      expect(result.prediction).toBe(voteOf(classify, image));
      expect(result.met).toBe(1);
      if (!result.certified) continue;
      certified++;
      for (let column = 0; column < 5; column++)
        for (let pixels = 0; pixels < 4; pixels++) {
          const attacked = [...image];
          attacked[column] = (pixels & 1) as 0 | 1;
          attacked[5 + column] = (pixels >> 1) as 0 | 1;
          expect(voteOf(classify, attacked)).toBe(result.prediction);
        }
    }
    expect(certified).toBeGreaterThan(10);
    expect(certified).toBeLessThan(40);
  });

  it("the margin is exact: one vote less and a patch changes the class, ties included", async () => {
    // class 1 for a dark column, class 0 for a bright one; a patch of one column can turn one vote
    const bright: Classifier = (batch: Float32Array, [n = 0, , width = 0]: number[]) =>
      Int32Array.from({ length: n }, (_, row) =>
        batch.subarray(row * width, (row + 1) * width).some((v) => v > 0.5) ? 0 : 1,
      );
    const options = { ablation: { columns: 1 }, patch: 1, numClasses: 2 };
    const run = (data: number[]) => certifyPatch(bright, { data, shape: [1, 5] }, options);
    // 1 : 4 for class 1; turning one vote gives 2 : 3
    expect(await run([1, 0, 0, 0, 0])).toMatchObject({ prediction: 1, margin: 2, certified: true });
    // 4 : 1 for class 0
    expect(await run([1, 1, 1, 1, 0])).toMatchObject({ prediction: 0, margin: 3, certified: true });
    expect(await run([1, 1, 0, 0, 0])).toMatchObject({
      prediction: 1,
      margin: 0,
      certified: false,
    });
    const four = (data: number[]) => certifyPatch(bright, { data, shape: [1, 4] }, options);
    // 3 : 1 for class 0: turning one vote gives a tie, which class 0 wins
    expect(await four([1, 1, 1, 0])).toMatchObject({ prediction: 0, margin: 2, certified: true });
    // 1 : 3 for class 1: turning one vote gives a tie, which class 0 wins
    expect(await four([1, 0, 0, 0])).toMatchObject({ prediction: 1, margin: 1, certified: false });
    expect(await four([1, 1, 0, 0])).toMatchObject({ prediction: 0, margin: 0, certified: false });
  });

  it("marginOf takes the strongest rival", () => {
    expect(marginOf([5, 9, 6], 1)).toBe(3); // class 2 would lose a tie to class 1
    expect(marginOf([6, 9, 6], 1)).toBe(2);
    expect(marginOf([9, 0, 6], 0)).toBe(3);
  });
});

describe("the copies", () => {
  const x = { data: [0.1, 0.2, 0.3, 0.4], shape: [1, 4] };
  async function copiesOf(options: object, input: object = x) {
    const seen = new Map<string, number[]>();
    const classify = (batch: Float32Array, [n = 0, ...shape]: number[]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      for (let row = 0; row < n; row++) {
        const copy = Array.from(
          batch.subarray(row * size, (row + 1) * size),
          (v) => Math.round(v * 100) / 100,
        );
        seen.set(copy.join(), shape);
      }
      return new Int32Array(n);
    };
    await certifyPatch(classify, input as never, {
      patch: 1,
      ablation: { columns: 2 },
      numClasses: 2,
      checkRows: false,
      ...options,
    });
    return [...seen];
  }

  it("keep a band that wraps, and have 0 or fill elsewhere", async () => {
    expect(await copiesOf({ stride: 3 })).toEqual([
      ["0.1,0.2,0,0", [1, 4]],
      ["0.1,0,0,0.4", [1, 4]],
    ]);
    expect((await copiesOf({ stride: 3, fill: 0.5 })).map(([copy]) => copy)).toEqual([
      "0.1,0.2,0.5,0.5",
      "0.1,0.5,0.5,0.4",
    ]);
  });

  it("have a channel that says what is kept, or 1 - x beside x", async () => {
    expect(await copiesOf({ stride: 3, encoding: "mask" })).toEqual([
      ["0.1,1,0.2,1,0,0,0,0", [1, 4, 2]],
      ["0.1,1,0,0,0,0,0.4,1", [1, 4, 2]],
    ]);
    const color = { data: [0.1, 0.2, 0.3, 0.4], shape: [1, 2, 2] };
    expect(await copiesOf({ ablation: { columns: 1 }, encoding: "complement" }, color)).toEqual([
      ["0.1,0.2,0.9,0.8,0,0,0,0", [1, 2, 4]],
      ["0,0,0,0,0.3,0.4,0.7,0.6", [1, 2, 4]],
    ]);
  });
});

describe("certifyDatasetPatch", () => {
  const dataset: ImageDataset = {
    name: "bars",
    length: 6,
    imageShape: [4, 6, 1],
    numClasses: 2,
    // image i has i bright columns
    get: (i) => ({
      image: Float32Array.from({ length: 24 }, (_, p) => (p % 6 < i ? 1 : 0)),
      label: i > 2 ? 1 : 0,
    }),
  };
  const bright: Classifier = (batch: Float32Array, [n = 0]: number[]) =>
    Int32Array.from({ length: n }, (_, row) =>
      batch.subarray(row * 24, row * 24 + 24).some((v) => v > 0.5) ? 1 : 0,
    );

  it("gives the votes of every image, and the accuracy at every size from one run", async () => {
    const rows: PatchRow[] = [];
    for await (const row of certifyDatasetPatch(bright, dataset, { ablation: { columns: 1 } }))
      rows.push(row);
    expect(rows.map((row) => row.counts)).toEqual([
      [6, 0],
      [5, 1],
      [4, 2],
      [3, 3],
      [2, 4],
      [1, 5],
    ]);
    expect(rows.map((row) => row.correct)).toEqual([1, 1, 1, 0, 1, 1]);
    // margins 6, 4, 2, 0, 2 - 1, 4 - 1; a patch of side m meets m copies
    expect(rows.map((row) => row.largestPatch)).toEqual([3, 2, 1, 0, 0, 1]);
    for (const { idx, largestPatch } of rows)
      for (let patch = 1; patch <= 4; patch++) {
        const { image } = await dataset.get(idx);
        const x = { data: image, shape: [4, 6, 1] };
        const one = await certifyPatch(bright, x, {
          patch,
          ablation: { columns: 1 },
          numClasses: 2,
        });
        expect(one.certified).toBe(patch <= largestPatch);
      }
    const table = formatPatchAccuracy({ bars: rows }, [1, 2, 4], "markdown").split("\n");
    expect(table[0]).toBe("| run | images | patch 0 | patch 1 | patch 2 | patch 4 |");
    expect(table[2]).toContain("| bars | 6 | 83.3 [");
    expect(table[2]).toContain("| 66.7 [");
    expect(table[2]).toContain("| 33.3 [");
    expect(table[2]).toContain("| 0.0 [");
  });

  it("keeps a log that is resumed, merged and analyzed like others", async () => {
    const run = (more: Partial<PatchDatasetOptions>) =>
      certifyDatasetPatch(bright, dataset, { ablation: { columns: 1 }, model: "bright", ...more });
    const untimed = (rows: readonly LogRow[]) => rows.map(({ time, ...row }) => row);
    const [log, ...shards] = ["all.tsv", "0.tsv", "1.tsv"].map((name) => join(folder(), name));
    const whole = await run({}).toArray();
    await run({ log: log!, max: 2 }).toArray();
    expect(untimed(await run({ log: log! }).toArray())).toEqual(untimed(whole));
    const logged = whole.map(({ largestPatch, margin, copies, ...row }) => row);
    expect(untimed(await readLog(log!))).toEqual(untimed(logged));
    for (const [index, part] of shards.entries())
      await run({ log: part, shard: { index, count: 2 } }).toArray();
    expect(untimed(await mergeLogs(shards))).toEqual(untimed(logged));
    await expect(run({ log: log!, stride: 2 }).toArray()).rejects.toThrow(
      /n 6 there, 3 now; .*generator ablation\/columns 1, stride 1 there, ablation\/columns 1, stride 2 now/,
    );
    await expect(run({ log: log!, encoding: "mask" }).toArray()).rejects.toThrow("encoding fill");
    const rows = await readLog(log!);
    const { radii, accuracy } = summarizeLog({ name: "bars", rows });
    expect(radii).toEqual([0, 1, 2, 3]);
    expect(accuracy.map(({ accuracy }) => accuracy)).toEqual([5 / 6, 4 / 6, 2 / 6, 1 / 6]);
    expect(certifiedAccuracySvg([{ name: "bars", rows }])).toContain("side of the square patch");
    const radius = { name: "l2", rows: rows.map(({ settings, ...row }) => row) };
    expect(() => certifiedAccuracySvg([{ name: "bars", rows }, radius])).toThrow(
      "give one kind at a time",
    );
    expect(() => recertify(rows, { alpha: 0.01 })).toThrow("without alpha");
  });

  it("takes a selection of images", async () => {
    const rows: PatchRow[] = [];
    const options = { ablation: { rows: 2 }, stride: 2, skip: 2, max: 2 };
    for await (const row of certifyDatasetPatch(bright, dataset, options)) rows.push(row);
    expect(rows.map(({ idx, copies }) => [idx, copies])).toEqual([
      [0, 2],
      [2, 2],
    ]);
  });
});

describe("certifyPatch refuses", () => {
  const x = { data: new Array(24).fill(0.5), shape: [4, 6] };
  const zero: Classifier = (_: Float32Array, [n = 0]: number[]) => new Int32Array(n);
  const mean: Classifier = (batch: Float32Array, [n = 0]: number[]) =>
    Array.from({ length: n }, () => [batch.reduce((sum, v) => sum + v), 0]);
  it.each<[string, Classifier, object, unknown, string]>([
    [
      "a patch larger than the image",
      zero,
      { patch: 5 },
      x,
      "the patch's height must be at most 4, the image's side, got 5",
    ],
    [
      "a patch of no size",
      zero,
      { patch: 0 },
      x,
      "the patch's height must be an integer of at least 1, got 0",
    ],
    [
      "no patch",
      zero,
      { patch: undefined },
      x,
      "patch must be the side of a square or [height, width]",
    ],
    [
      "a patch of three sides",
      zero,
      { patch: [1, 2, 3] },
      x,
      "patch must be the side of a square or [height, width]",
    ],
    [
      "a bare array without shape",
      zero,
      {},
      x.data,
      "an image must be [height, width] or [height, width, channels], got [24]; give shape",
    ],
    [
      "an unknown encoding",
      zero,
      { encoding: "null" },
      x,
      'encoding must be "fill", "mask" or "complement", got "null"',
    ],
    [
      "fill beside a mask",
      zero,
      { encoding: "mask", fill: 1 },
      x,
      "fill must be left out with encoding",
    ],
    ["sigma", zero, { sigma: 1 }, x, 'unknown option "sigma"'],
    [
      "rows that depend on each other",
      mean,
      { numClasses: undefined },
      x,
      "depends on the rows beside it",
    ],
    ["class ids without numClasses", zero, { numClasses: undefined }, x, "numClasses is needed"],
    [
      "pixels outside the range",
      zero,
      {},
      { data: new Array(24).fill(2), shape: [4, 6] },
      "x must lie in [0, 1], got 2",
    ],
  ])("%s", async (_, classify, options, input, message) => {
    const all = { patch: 2, ablation: { columns: 2 }, numClasses: 2, ...options };
    await expect(certifyPatch(classify, input as never, all as never)).rejects.toThrow(message);
  });
});
