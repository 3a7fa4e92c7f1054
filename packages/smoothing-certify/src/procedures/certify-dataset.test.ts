import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { halves, steps } from "../__fixtures__/steps.ts";
import { readLog, writeLog } from "../log/log-file.ts";
import type { LogRow } from "../log/log-row.ts";
import { mergeLogs } from "../log/merge.ts";
import { parseShard, shardFromEnvironment } from "../log/shard.ts";
import { noiseSource } from "../noise/noise.ts";
import { noiseInWorkers } from "../noise/noise-workers.ts";
import { soundNoise } from "../noise/sound-noise.ts";
import type { Progress } from "../run/progress.ts";
import { certify } from "./certify.ts";
import { type CertifyDatasetOptions, certifyDataset } from "./certify-dataset.ts";

const folder = temporaryFolders("smoothing-run");
const single = { seed: 0, sigma: 0.5, n0: 10, n: 100, batchSize: 50 };
const options = { ...single, model: "halves" };

async function run(more: Partial<CertifyDatasetOptions> = {}, dataset = steps(40)) {
  const rows: LogRow[] = [];
  for await (const row of certifyDataset(halves, dataset, { ...options, ...more })) rows.push(row);
  return rows;
}
const timeless = (rows: readonly LogRow[]) => rows.map(({ time: _, ...row }) => row);

describe("a log that was begun", () => {
  it("goes on wherever its first line was cut off", async () => {
    const path = join(folder(), "whole.tsv");
    const whole = await run({ log: path });
    const header = readFileSync(path, "utf8").split("\n")[0]!;
    for (const length of [0, 1, 20, 36, 37, 44, 60, header.length - 1, header.length]) {
      const log = join(folder(), "cut.tsv");
      writeFileSync(log, header.slice(0, length));
      expect(timeless(await run({ log }))).toEqual(timeless(whole));
      expect(timeless(await readLog(log))).toEqual(timeless(whole));
    }
  });

  it("is refused with the columns of another program, or compressed", async () => {
    const log = join(folder(), "other.tsv");
    writeFileSync(log, "idx\tlabel\tpredict\tradius\tcorrect\ttime\n");
    await expect(run({ log })).rejects.toThrow("was begun by another program, with other columns");
    await expect(run({ log: join(folder(), "a.tsv.gz") })).rejects.toThrow(
      "a log is written line by line, not compressed; leave .gz out of",
    );
    const rows = await run({ max: 3 });
    const compressed = join(folder(), "b.tsv.gz");
    await writeLog(compressed, rows);
    expect(await readLog(compressed)).toEqual(rows);
  });
});

describe("noise of the caller's", () => {
  it("must be drawn as the run says, and lends it its seed", async () => {
    const made = (more: object) =>
      noiseSource({ sigma: 0.5, seed: 9, distribution: "gaussian", ...more });
    const [row] = await run({ noise: made({}), seed: undefined });
    expect(row!.settings!.seed).toBe("9");
    expect(row!.counts).toEqual((await run({ seed: 9 }))[0]!.counts);
    await expect(run({ noise: made({}), seed: 8 })).rejects.toThrow(
      "certifyDataset: the noise was made with seed 9, but the run has 8; give both the same",
    );
    await expect(run({ noise: made({ sigma: 0.05 }), seed: 9 })).rejects.toThrow(
      "made with sigma 0.05",
    );
    await expect(run({ noise: made({ distribution: "laplace" }), seed: 9 })).rejects.toThrow(
      'made with distribution "laplace", but the run has "gaussian"',
    );
    const noise = await noiseInWorkers({ sigma: 0.5, seed: 9 }, { workers: 0 });
    await expect(certify(halves, [0.9], { sigma: 0.25, noise, numClasses: 2 })).rejects.toThrow(
      "certify: the noise was made with sigma 0.5, but the run has 0.25",
    );
    const sound = soundNoise({ sigma: 0.25, seed: 1 });
    await expect(run({ noise: sound, seed: 1 })).rejects.toThrow("made with sigma 0.25");
  });
});

describe("certifyDataset", () => {
  it("gives for every image what certify gives, with label and settings", async () => {
    const rows = await run();
    expect(rows.map((row) => row.idx)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    for (const row of rows) {
      const image = [row.idx / 40];
      const alone = await certify(halves, image, { ...single, numClasses: 2, index: row.idx });
      const { prediction, radius, pLower, counts, counts0, samples } = alone;
      expect(row).toMatchObject({ predict: prediction, radius, pLower, counts, counts0, samples });
      expect(row.correct).toBe(prediction === (row.idx < 3 ? 0 : 1) ? 1 : 0);
    }
    expect(rows[0]!.settings).toEqual({
      procedure: "certify",
      sigma: 0.5,
      alpha: 0.001,
      n: 100,
      n0: 10,
      dimension: 1,
      shape: "1x1x1",
      seed: "0",
      generator: "philox4x32-10/gaussian",
      dataset: "steps",
      model: "halves",
      data: expect.stringMatching(/^[0-9a-f]{32}$/),
      classifier: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  it("does not depend on the batch size, and fills every batch but the last", async () => {
    const want = timeless(await run());
    for (const batchSize of [1, 33, 5000, "auto"] as const)
      expect(timeless(await run({ batchSize }))).toEqual(want);
    const sizes: number[] = [];
    const spy = (batch: Float32Array, shape: number[]) => {
      sizes.push(shape[0]!);
      return halves(batch, shape);
    };
    for await (const _ of certifyDataset(spy, steps(40), { ...options, checkRows: false }));
    expect(sizes.slice(4)).toEqual(new Array(88).fill(50)); // after the 64 probes of the fingerprint
  });

  it("selects by skip, max and indices", async () => {
    expect((await run({ skip: 7 })).map((row) => row.idx)).toEqual([0, 7, 14, 21, 28, 35]);
    expect((await run({ skip: 7, max: 2 })).map((row) => row.idx)).toEqual([0, 7]);
    expect((await run({ indices: [30, 4] })).map((row) => row.idx)).toEqual([30, 4]);
    await expect(run({ indices: [40] })).rejects.toThrow(
      "indices must be integers in [0, 40), got 40",
    );
    await expect(run({ indices: [1, 1] })).rejects.toThrow("indices must differ, got 1 twice");
    await expect(run({ skip: 0 })).rejects.toThrow("skip must be an integer of at least 1, got 0");
    for (const length of [2.5, Number.POSITIVE_INFINITY, 1e10])
      await expect(run({}, { ...steps(3), length })).rejects.toThrow(
        `the data set must have images, a whole number of at most 2^32 - 1, got length ${length}`,
      );
    await expect(run({}, steps(0))).rejects.toThrow(
      "the data set must have images, a whole number of at most 2^32 - 1, got length 0",
    );
  });

  it("refuses images and labels that are none", async () => {
    const broken = (get: () => unknown) => ({ ...steps(2), get: get as never });
    const image = Float32Array.of(0.5);
    await expect(
      run(
        {},
        broken(() => ({ image: new Float32Array(2), label: 0 })),
      ),
    ).rejects.toThrow("image 0 must have 1 numbers for shape [1,1,1], got 2");
    await expect(
      run(
        {},
        broken(() => ({ image: Float32Array.of(1.5), label: 0 })),
      ),
    ).rejects.toThrow("image 0: x must lie in [0, 1], got 1.5");
    await expect(
      run(
        {},
        broken(() => ({ image: Float32Array.of(Number.NaN), label: 0 })),
      ),
    ).rejects.toThrow("image 0: x must be finite, got NaN");
    await expect(
      run(
        {},
        broken(() => ({ image, label: 2 })),
      ),
    ).rejects.toThrow("label of image 0 must be an integer in [0, 2), got 2");
  });

  it("resumes: yields what is there and appends the rest, without a second classification", async () => {
    const log = join(folder(), "a.tsv");
    const controller = new AbortController();
    const seen: number[] = [];
    const first = certifyDataset(halves, steps(40), { ...options, log, signal: controller.signal });
    await expect(
      (async () => {
        for await (const row of first) {
          seen.push(row.idx);
          if (row.idx === 11) controller.abort(new Error("stop"));
        }
      })(),
    ).rejects.toThrow("stop");
    expect((await readLog(log)).map((row) => row.idx)).toEqual(seen);
    const before = readFileSync(log, "utf8");
    const progress: Progress[] = [];
    const rows = await run({ log, onProgress: (p) => progress.push(p) });
    expect(readFileSync(log, "utf8").startsWith(before)).toBe(true);
    expect(timeless(rows)).toEqual(timeless(await run()));
    expect(await readLog(log)).toEqual(rows);
    expect(progress.at(-1)).toMatchObject({
      done: 40,
      total: 40,
      samples: (40 - seen.length) * 110,
      secondsLeft: 0,
    });
    expect(progress.map(({ rate }) => rate).every(Number.isFinite)).toBe(true);
    const left = progress.map(({ secondsLeft }) => secondsLeft);
    expect(left[0]).toBeUndefined(); // no image of this session is done
    expect(left.some(Number.isNaN)).toBe(false);
    await expect(run({ log, seed: 0, sigma: 0.25 })).rejects.toMatchObject({ code: "resume" });
    await expect(run({ log, seed: 1 })).rejects.toThrow("seed 0 there, 1 now");
    await expect(run({ log, model: "other" })).rejects.toThrow("model halves there, other now");
  });

  it("takes all rows back in the log where the check at the end fails; every reader refuses it", async () => {
    const log = join(folder(), "a.tsv");
    const late = (after: number) => {
      let batches = 0;
      return (batch: Float32Array, shape: number[]) => {
        const classes = halves(batch, shape);
        return ++batches > after ? classes.map((c) => 1 - c) : classes;
      };
    };
    const all = { ...options, n: 1000, log };
    const going = certifyDataset(late(60), steps(3), { ...all, max: 1 });
    for await (const _ of going); // ends before it changes
    expect((await readLog(log)).length).toBe(1);
    const failing = async () => {
      for await (const _ of certifyDataset(late(60), steps(3), all));
    };
    await expect(failing()).rejects.toThrow(
      "at the end of the run the classifier gave other answers",
    );
    expect(readFileSync(log, "utf8").trim().split("\n").length).toBe(1 + 3 + 1); // nothing is removed
    const refused =
      /a\.tsv: its run found out that its rows are no certificates.*gave other answers.*certify again, to another log/;
    await expect(readLog(log)).rejects.toThrow(refused);
    await expect(readLog(log, { partial: true })).rejects.toThrow(refused);
    await expect(mergeLogs([log])).rejects.toThrow(refused);
    await expect(failing()).rejects.toThrow(refused); // resuming too
    await expect(failing()).rejects.toMatchObject({ code: "file" });
  });

  it("checks what was yielded before an abort", async () => {
    const log = join(folder(), "a.tsv");
    const controller = new AbortController();
    let changed = false;
    const drifting = (batch: Float32Array, shape: number[]) =>
      halves(batch, shape).map((c) => (changed ? 1 - c : c));
    const run = async () => {
      const more = { log, signal: controller.signal };
      for await (const row of certifyDataset(drifting, steps(40), { ...options, ...more })) {
        if (row.idx < 9) continue;
        changed = true;
        controller.abort(new Error("stop"));
      }
    };
    await expect(run()).rejects.toThrow("gave other answers");
    await expect(readLog(log)).rejects.toThrow("must not be used");
  });

  it("checks rows again where a complete log is resumed", async () => {
    const log = join(folder(), "a.tsv");
    const rows = await run({ log });
    const before = readFileSync(log, "utf8");
    let batches = 0;
    const spy = (batch: Float32Array, shape: number[]) => {
      batches++;
      return halves(batch, shape);
    };
    const same = (fn: typeof spy) => Object.assign(fn, { fingerprint: "halves" });
    const again: LogRow[] = [];
    for await (const row of certifyDataset(same(spy), steps(40), { ...options, log }))
      again.push(row);
    expect(again).toEqual(rows);
    expect(batches).toBe(4 + 15); // 64 probes of the fingerprint, and the check, which takes more batches for class ids
    batches = 0;
    const mixing = (batch: Float32Array, [n = 0]: number[]) => {
      const least = ++batches > 4 ? Math.max(...batch) / 4 : 0;
      return Int32Array.from({ length: n }, (_, i) => (batch[i]! > least ? 1 : 0));
    };
    await expect(
      (async () => {
        for await (const _ of certifyDataset(same(mixing), steps(40), { ...options, log }));
      })(),
    ).rejects.toThrow("depends on the rows beside it");
    expect(readFileSync(log, "utf8")).toBe(before);
  });

  it("loses and repeats no row when killed with SIGKILL, twice", async () => {
    const log = join(folder(), "killed.tsv");
    const program = fileURLToPath(new URL("../__fixtures__/slow-run.ts", import.meta.url));
    const tsx = createRequire(import.meta.url).resolve("tsx");
    const start = (): ChildProcess =>
      spawn(process.execPath, ["--import", `file://${tsx}`, program, log], {
        stdio: ["ignore", "pipe", "pipe"],
      });
    const printed = new Set<number>();
    let finished = false;
    for (let session = 0; session < 30 && !finished; session++) {
      const child = start();
      let errors = "";
      let fresh = 0;
      child.stderr!.on("data", (text) => {
        errors += text;
      });
      child.stdout!.on("data", (text: Buffer) => {
        for (const line of String(text).trim().split("\n")) {
          if (!printed.has(Number(line))) fresh++;
          printed.add(Number(line));
          if (fresh >= 15) child.kill("SIGKILL");
        }
      });
      const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
        child.on("close", (...end) => resolve(end)),
      );
      finished = code === 0;
      if (!finished) expect(signal, errors).toBe("SIGKILL");
    }
    expect(finished).toBe(true);
    const rows = await readLog(log);
    expect(timeless(rows)).toEqual(timeless(await run()));
    expect(printed.size).toBe(40);
  }, 120_000);
});

describe("shards", () => {
  it("together give the whole, and merge checks that they do", async () => {
    const at = folder();
    const logs: string[] = [];
    for (let index = 0; index < 3; index++) {
      logs.push(join(at, `${index}.tsv`));
      await run({ shard: { index, count: 3 }, skip: 4, log: logs[index] });
    }
    const merged = await mergeLogs(logs);
    expect(timeless(merged)).toEqual(timeless(await run({ skip: 4 })));
    await writeLog(join(at, "all.tsv"), merged);
    expect(await readLog(join(at, "all.tsv"))).toEqual(merged);
    await expect(mergeLogs(logs.slice(0, 2))).rejects.toThrow(
      "mergeLogs: shard 2/3 has 0 of 3 images",
    );
    expect((await mergeLogs(logs.slice(0, 2), { partial: true })).length).toBe(7);
    await expect(mergeLogs([...logs, logs[1]!])).rejects.toThrow(
      /image 4 is in .*1.tsv and in .*1.tsv/,
    );
    await expect(mergeLogs(logs, { images: 11 })).rejects.toThrow("11 images expected, 10 found");
    const other = join(at, "other.tsv");
    await run({ indices: [39], log: other, seed: 0, sigma: 0.25 });
    await expect(mergeLogs([...logs, other])).rejects.toThrow(
      "has other settings than the logs before it: sigma 0.5 and 0.25",
    );
    await expect(run({ shard: { index: 1, count: 3 }, skip: 4, log: logs[0] })).rejects.toThrow(
      "shard 0/3 of 10 there, 1/3 of 10 now",
    );
  });

  it("come from text and from clusters", () => {
    expect(parseShard("3/8")).toEqual({ index: 3, count: 8 });
    for (const text of ["8/8", "-1/3", "1", "1/0", "a/b", ""])
      expect(() => parseShard(text)).toThrow("shard: must read i/n with 0 <= i < n, e.g. 0/8");
    expect(shardFromEnvironment({})).toBeUndefined();
    expect(shardFromEnvironment({ JOB_COMPLETION_INDEX: "2", SHARD_COUNT: "5" })).toEqual({
      index: 2,
      count: 5,
    });
    expect(() => shardFromEnvironment({ JOB_COMPLETION_INDEX: "2" })).toThrow("SHARD_COUNT is not");
    expect(
      shardFromEnvironment({
        SLURM_ARRAY_TASK_ID: "12",
        SLURM_ARRAY_TASK_MIN: "10",
        SLURM_ARRAY_TASK_COUNT: "4",
      }),
    ).toEqual({ index: 2, count: 4 });
  });
});
