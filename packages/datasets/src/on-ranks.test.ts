import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DmaeError, key } from "@dmae/core";
import { expect, test } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { localWorlds } from "../../../testing/worlds.ts";
import { batchLoader } from "./batch-loader.ts";
import { findCorruptImages } from "./find-corrupt-images.ts";
import { synthetic } from "./synthetic.ts";
import { writeTarShards } from "./write-tar-shards.ts";

const folder = temporaryFolders("dmae-on-ranks");
const images = synthetic({ length: 13, key: key(0), imageShape: [4, 4, 1], numClasses: 3 });

test("ranks write the shards of one process", async () => {
  const [one, many] = [folder(), folder()];
  await writeTarShards(one, images, { shardSize: 3 });
  const { worlds } = localWorlds(2);
  const files = await Promise.all(
    worlds.map((world) => writeTarShards(many, images, { shardSize: 3, world })),
  );
  expect(files[1]).toEqual(files[0]);
  expect(readdirSync(many)).toEqual(readdirSync(one));
  for (const name of readdirSync(one))
    expect(readFileSync(join(many, name))).toEqual(readFileSync(join(one, name)));
});

test("ranks find the damaged images together, in order", async () => {
  const damaged = {
    ...images,
    async pixels(index: number) {
      if (index % 5 === 2) throw new DmaeError("file", `image ${index} is damaged`);
      return images.pixels(index);
    },
  };
  const alone = await findCorruptImages(damaged);
  expect(alone.map(({ message }) => message)).toEqual(
    [2, 7, 12].map((i) => `image ${i} is damaged`),
  );
  const { worlds } = localWorlds(3);
  const found = await Promise.all(worlds.map((world) => findCorruptImages(damaged, { world })));
  for (const each of found) expect(each).toEqual(alone);
});

test("an error that is no damage ends the job", async () => {
  const broken = {
    ...images,
    async pixels(): Promise<never> {
      throw new TypeError("a bug");
    },
  };
  const { worlds, aborted } = localWorlds(2);
  await expect(findCorruptImages(broken, { world: worlds[0]! })).rejects.toThrow("a bug");
  expect(aborted).toMatchObject([[0, { message: "a bug" }]]);
});

test("a loader reads the rows of one rank", async () => {
  const options = { batchSize: 5, dropLast: true, shuffle: true, key: key(3) };
  const [whole, own] = [
    batchLoader(images, options),
    batchLoader(images, { ...options, rows: [4, 0] }),
  ];
  for (const step of [0, 1, 2]) {
    const [a, b] = [await whole.at(step), await own.at(step)];
    expect([...b.indices]).toEqual([a.indices[4], a.indices[0]]);
    expect([...b.images]).toEqual([...a.images.subarray(64, 80), ...a.images.subarray(0, 16)]);
    expect(b.size).toBe(2);
  }
  expect(() => batchLoader(images, { ...options, rows: [5] })).toThrow(
    "batchLoader: rows must be positions in a batch of 5, got 5",
  );
  expect(() => batchLoader(images, { batchSize: 5, rows: [0] })).toThrow(
    "rows need dropLast: true",
  );
});
