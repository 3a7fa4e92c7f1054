import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DmaeError } from "@dmae/core";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { localWorlds } from "../../../../testing/worlds.ts";
import { halves, steps } from "../__fixtures__/steps.ts";
import { readLog } from "../log/log-file.ts";
import type { LogRow } from "../log/log-row.ts";
import { lockLog } from "../log/log-writer.ts";
import { type CertifyDatasetOptions, certifyDataset } from "../procedures/certify-dataset.ts";

const folder = temporaryFolders("smoothing-ranks");
const options = { sigma: 0.5, n0: 10, n: 100, batchSize: 50, model: "halves", skip: 3 };
const timeless = (rows: readonly LogRow[]) =>
  rows.map(({ time: _, settings, ...row }) => ({ ...row, seed: settings?.seed }));
const byIndex = (a: LogRow, b: LogRow) => a.idx - b.idx;

/** The rows of each rank; `take`: how many a rank reads. */
async function onRanks(
  size: number,
  more: Partial<CertifyDatasetOptions> = {},
  take = () => Number.POSITIVE_INFINITY,
) {
  const { worlds, aborted } = localWorlds(size);
  const rows = await Promise.all(
    worlds.map(async (world) => {
      const own: LogRow[] = [];
      for await (const row of certifyDataset(halves, steps(40), { ...options, ...more, world })) {
        own.push(row);
        if (own.length >= take()) break;
      }
      return own;
    }),
  );
  expect(aborted).toEqual([]);
  return rows;
}
const alone = async (more: Partial<CertifyDatasetOptions> = {}) =>
  certifyDataset(halves, steps(40), { ...options, ...more }).toArray();

/** What a job is ended with before a row is there, whose ranks never meet. */
async function refusal(size: number, more: Partial<CertifyDatasetOptions>) {
  const { worlds, aborted } = localWorlds(size);
  const runs = worlds.map((world) =>
    certifyDataset(halves, steps(40), { ...options, ...more, world }).next(),
  );
  for (const run of runs.slice(1)) run.catch(() => {}); // they wait for rank 0
  const error = await runs[0]!.catch((error) => error);
  expect(aborted).toEqual([[0, error]]);
  return error as DmaeError;
}
const filesOf = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]),
  );

describe("certifyDataset on several ranks", () => {
  it("gives each rank its images, and one log with the rows of one process", async () => {
    const [log, single] = [join(folder(), "ranks.tsv"), join(folder(), "one.tsv")];
    const rows = await onRanks(3, { seed: 7, log });
    expect(rows.map((own) => own.map(({ idx }) => idx))).toEqual([
      [0, 9, 18, 27, 36],
      [3, 12, 21, 30, 39],
      [6, 15, 24, 33],
    ]);
    await alone({ seed: 7, log: single });
    const [a, b] = [await readLog(log), await readLog(single)];
    expect(timeless(a)).toEqual(timeless(b));
    expect(a.map(({ settings }) => settings)).toEqual(b.map(({ settings }) => settings));
    expect(readdirSync(dirname(log))).toEqual(["ranks.tsv"]);
  });

  it("draws one seed for all", async () => {
    const rows = (await onRanks(2)).flat();
    expect(new Set(rows.map(({ settings }) => settings!.seed)).size).toBe(1);
  });

  it("goes on with other numbers of ranks, and keeps seed and rows", async () => {
    const log = join(folder(), "log.tsv");
    const first = (await onRanks(2, { log }, () => 3)).flat(); // stopped before its end
    expect(existsSync(log)).toBe(false);
    const second = (await onRanks(3, { log })).flat().sort(byIndex);
    expect(second).toEqual(
      expect.arrayContaining(first.map(({ settings: _, ...r }) => expect.objectContaining(r))),
    );
    const seed = Number(second[0]!.settings!.seed);
    expect(timeless(await readLog(log))).toEqual(timeless(await alone({ seed })));
    const again = (await onRanks(2, { log })).flat().sort(byIndex); // nothing is left to do
    expect(again.map(({ time }) => time)).toEqual(second.map(({ time }) => time));
    expect((await alone({ log })).map(({ time }) => time)).toEqual(again.map(({ time }) => time));
  });

  it("leaves ranks without images in peace", async () => {
    const log = join(folder(), "few.tsv");
    expect((await onRanks(3, { log, max: 2 })).map((own) => own.length)).toEqual([1, 1, 0]);
    expect(await readLog(log)).toHaveLength(2);
  });

  it("ends the job with an error, and refuses shards", async () => {
    const { worlds, aborted } = localWorlds(2);
    const wrong = certifyDataset(halves, steps(40), { ...options, world: worlds[1]!, n: 0 });
    await expect(wrong.toArray()).rejects.toThrow("certifyDataset: n must");
    const shard = { index: 0, count: 2 };
    await expect(
      certifyDataset(halves, steps(40), { ...options, world: worlds[0]!, shard }).toArray(),
    ).rejects.toThrow("certifyDataset: shard must be left out with a world");
    const [, other] = worlds.map((world) =>
      certifyDataset(
        () => {
          throw new Error(`rank ${world.rank}`);
        },
        steps(40),
        { ...options, world, seed: 1 },
      )
        .toArray()
        .catch((error: Error) => error.message),
    );
    expect(await other).toContain("rank 1");
    expect(aborted.map(([rank]) => rank).sort()).toEqual([0, 1]);
  });
});

describe("an earlier log that a run on ranks cannot go on with", () => {
  const python = `idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t0\t0\t0.5\t1\t0:00:01\n`;

  it.each<[string, Partial<CertifyDatasetOptions>, string]>([
    ["of other settings", { sigma: 0.25 }, "(sigma 0.5 there, 0.25 now)"],
    ["of another seed", { seed: 8 }, "(seed 7 there, 8 now)"],
    ["with more images", { max: 4 }, "must have rows of the selected images only, got image 12"],
  ])("stays as it is: %s", async (_, more, message) => {
    const log = join(folder(), "log.tsv");
    await alone({ seed: 7, log });
    const before = filesOf(dirname(log));
    const error = await refusal(2, { log, ...more });
    expect(error).toMatchObject({ code: "resume" });
    expect(error.message).toContain(message);
    expect(filesOf(dirname(log))).toEqual(before);
  });

  it("stays as it is: of other numbers of ranks", async () => {
    const log = join(folder(), "log.tsv");
    await onRanks(3, { seed: 7, log }, () => 2);
    const before = filesOf(dirname(log));
    expect(Object.keys(before)).toHaveLength(3);
    const error = await refusal(2, { log, n: 200 });
    expect(error.message).toContain("(n 100 there, 200 now)");
    expect(filesOf(dirname(log))).toEqual(before);
  });

  it("stays as it is: of the Python tools", async () => {
    const log = join(folder(), "log.tsv");
    writeFileSync(log, python);
    const error = await refusal(2, { log });
    expect(error).toMatchObject({ code: "resume" });
    expect(error.message).toContain("does not say with which settings it was made");
    expect(filesOf(dirname(log))).toEqual({ "log.tsv": python });
  });
});

describe("a log of a rank that was killed", () => {
  it.each(["", "idx\tlabel\tpre"])(
    "before its first line was written (%j) has no rows",
    async (text) => {
      const log = join(folder(), "log.tsv");
      await onRanks(3, { seed: 7, log }, () => 2);
      writeFileSync(`${log}.1-of-3`, text);
      await onRanks(2, { seed: 7, log });
      expect(timeless(await readLog(log))).toEqual(timeless(await alone({ seed: 7 })));
    },
  );
});

describe("a log that ranks share has one writer", () => {
  it("a run of one process, which ranks do not disturb", async () => {
    const log = join(folder(), "log.tsv");
    const single = certifyDataset(halves, steps(40), { ...options, seed: 7, log });
    for (let i = 0; i < 5; i++) await single.next();
    const error = await refusal(2, { seed: 7, log });
    expect(error).toMatchObject({ code: "resume" });
    expect(error.message).toContain(`${log} is being written by process ${process.pid}`);
    for await (const _ of single);
    expect(timeless(await readLog(log))).toEqual(timeless(await alone({ seed: 7 })));
    expect(readdirSync(dirname(log))).toEqual(["log.tsv"]);
  });

  it("the job, which keeps others away from its begin to its end", async () => {
    const log = join(folder(), "log.tsv");
    const { worlds } = localWorlds(2);
    const job = worlds.map((world) =>
      certifyDataset(halves, steps(40), { ...options, seed: 7, log, world }),
    );
    await Promise.all(job.map((rank) => rank.next()));
    await expect(alone({ seed: 7, log })).rejects.toThrow(`${log} is being written by process`);
    const error = await refusal(3, { seed: 7, log });
    expect(error.message).toContain(`${log} is being written by process`);
    await Promise.all(job.map((rank) => rank.toArray()));
    expect(timeless(await readLog(log))).toEqual(timeless(await alone({ seed: 7 })));
    expect(readdirSync(dirname(log))).toEqual(["log.tsv"]);
  });

  it("a rank of another job, whose log is not dealt", async () => {
    const log = join(folder(), "log.tsv");
    await onRanks(3, { seed: 7, log }, () => 2);
    const before = filesOf(dirname(log));
    const lock = await lockLog(`${log}.1-of-3`); // as a rank that outlived its job holds it
    const error = await refusal(2, { seed: 7, log });
    expect(error).toMatchObject({ code: "resume" });
    expect(error.message).toContain(`${log}.1-of-3 is being written by process`);
    await lock.release();
    expect(filesOf(dirname(log))).toEqual(before);
    await onRanks(2, { seed: 7, log });
    expect(readdirSync(dirname(log))).toEqual(["log.tsv"]);
  });

  it("and is not compressed", async () => {
    const error = await refusal(2, { log: join(folder(), "log.tsv.gz") });
    expect(error.message).toContain("a log is written line by line, not compressed");
  });
});
