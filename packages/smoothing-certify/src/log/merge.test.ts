import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { halves, steps } from "../__fixtures__/steps.ts";
import { type CertifyDatasetOptions, certifyDataset } from "../procedures/certify-dataset.ts";
import { readLog } from "./log-file.ts";
import { mergeLogs } from "./merge.ts";
import type { Shard } from "./shard.ts";

const folder = temporaryFolders("smoothing-merge");
const base = { seed: 0, sigma: 0.5, n0: 10, n: 20, batchSize: 50, model: "halves" };

/** Certifies one shard of eight images to a log of its own. */
async function shardLog(index: number, count: number, more: Partial<CertifyDatasetOptions> = {}) {
  const log = join(folder(), `${index}.tsv`);
  const options = { ...base, shard: { index, count }, log, ...more };
  for await (const _ of certifyDataset(halves, steps(8), options));
  return log;
}
const merged = async (...logs: string[]) => (await mergeLogs(logs)).map((row) => row.idx);

describe("mergeLogs", () => {
  it("refuses shards of different selections, also of as many images", async () => {
    const [a, b] = [await shardLog(0, 2, { skip: 2 }), await shardLog(1, 2, { max: 4 })];
    await expect(mergeLogs([a, b])).rejects.toThrow(
      /shards of different selections: no one skip gives their images, e.g. image 4 to shard 0\/2 of 4 in/,
    );
    await expect(mergeLogs([a, b], { partial: true })).rejects.toThrow("different selections");
    const more = await shardLog(1, 2, { max: 6 });
    await expect(mergeLogs([a, more])).rejects.toThrow(
      /different selections: .* is shard 0\/2 of 4, .* is shard 1\/2 of 6/,
    );
    const three = await shardLog(1, 3, { max: 4 });
    await expect(mergeLogs([a, three])).rejects.toThrow("is shard 1/3 of 4");
  });

  it("takes shards of every skip and max", async () => {
    for (const skip of [1, 2, 3])
      for (const max of [1, 2, 4, undefined])
        for (const count of [1, 2, 3]) {
          const parts = Array.from({ length: count }, (_, index) =>
            shardLog(index, count, { skip, max }),
          );
          const logs = await Promise.all(parts);
          const want = [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => i % skip === 0).slice(0, max);
          expect(await merged(...logs)).toEqual(want);
        }
  });

  it("takes shards of one list of images in any order, and refuses those of two", async () => {
    const indices = [3, 1, 2, 7, 0];
    const [a, b] = [await shardLog(0, 2, { indices }), await shardLog(1, 2, { indices })];
    expect(await merged(a, b)).toEqual([0, 1, 2, 3, 7]);
    const whole = await readLog(await shardLog(0, 1, { indices, shard: undefined }));
    expect((await mergeLogs([a, b]))[0]!.settings).toEqual(whole[0]!.settings);
    const other = await shardLog(1, 2, { indices: [3, 5, 2, 6, 0] });
    await expect(mergeLogs([a, other])).rejects.toThrow(/other settings .*: indices \w+ and \w+$/);
    const skipped = await shardLog(1, 2, { max: 5 });
    await expect(mergeLogs([a, skipped])).rejects.toThrow(/indices \w+ and undefined$/);
  });

  it("refuses a log that has only a header, unless its shard has no images", async () => {
    const empty = await shardLog(2, 3, { max: 2 });
    await expect(mergeLogs([empty])).rejects.toThrow(/2\.tsv has no rows; finish it/);
    expect(await mergeLogs([empty], { partial: true })).toEqual([]);
    const whole = await shardLog(0, 1, { shard: undefined });
    await expect(mergeLogs([whole, empty])).rejects.toThrow("has no rows");
    const logs = [await shardLog(0, 3, { max: 2 }), await shardLog(1, 3, { max: 2 }), empty];
    expect(await merged(...logs)).toEqual([0, 1]);
  });
});

describe("the option shard", () => {
  it.each([
    [{ index: 2, count: 2 }, "{ index: 2, count: 2 }"],
    [{ index: 5, count: 2 }, "{ index: 5, count: 2 }"],
    [{ index: 0, count: 0 }, "{ index: 0, count: 0 }"],
    [{ index: -1, count: 2 }, "{ index: -1, count: 2 }"],
    [{ index: 0.5, count: 2 }, "{ index: 0.5, count: 2 }"],
    [{ index: 0 }, "{ index: 0, count: undefined }"],
    ["0/2", '"0/2"'],
  ])("refuses %o", async (shard, shown) => {
    const run = async () => {
      for await (const _ of certifyDataset(halves, steps(8), { ...base, shard: shard as Shard }));
    };
    await expect(run()).rejects.toThrow(
      `certifyDataset: shard must be { index, count } with integers 0 <= index < count, e.g. { index: 0, count: 8 }, got ${shown}`,
    );
  });
});
