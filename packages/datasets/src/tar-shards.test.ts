import { execFileSync } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { key } from "@dmae/core";
import { expect, test } from "vitest";
import { failure } from "../../../testing/failure.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { loadCifar10 } from "./cifar.ts";
import { loadImageFolder } from "./image-folder.ts";
import { centerCrop } from "./operations.ts";
import { synthetic } from "./synthetic.ts";
import { type TarEntry, tarEntries } from "./tar.ts";
import { loadTarShards } from "./tar-shards.ts";
import { writeCifar10 } from "./write-cifar.ts";
import { writeTarShards } from "./write-tar-shards.ts";

const scratch = temporaryFolders("dmae-tar");
const picture = fileURLToPath(new URL("./__fixtures__/picture.jpg", import.meta.url));
const small = { transform: [centerCrop(20)], indexFile: false } as const;
const images = synthetic({ length: 11, key: key(0), imageShape: [32, 32, 3] });

const fileFailure = (work: Promise<unknown>) => failure(work, "file");

test("what is written is read: shards of images in memory", async () => {
  const folder = scratch();
  const files = await writeTarShards(folder, images, { shardSize: 4 });
  expect(files.map((file) => file.slice(folder.length + 1))).toEqual([
    "shard-000000.tar",
    "shard-000001.tar",
    "shard-000002.tar",
  ]);
  const data = await loadTarShards(folder, { transform: [centerCrop(32)], indexFile: false });
  expect([data.length, data.numClasses]).toEqual([11, 10]);
  for (const index of [0, 3, 4, 10]) {
    const { data: bytes, label } = await data.pixels(index);
    expect(Buffer.compare(bytes, images.pixels(index).data)).toBe(0);
    expect(label).toBe(index % 10);
    expect(await data.get(index)).toEqual(images.get(index));
  }
});

test("the tar command reads our shards and our reader its files", async () => {
  const folder = scratch();
  const [file] = await writeTarShards(folder, images);
  const listed = execFileSync("tar", ["tf", file!], { encoding: "utf8" }).trim().split("\n");
  expect(listed).toHaveLength(22);
  expect(listed.slice(0, 2)).toEqual(["000000000.cls", "000000000.png"]);
  const long = `${"long-name-".repeat(15)}/000001`;
  for (const format of ["gnu", "pax", "ustar", "v7"]) {
    const from = scratch();
    const sample = format === "gnu" || format === "pax" ? long : "some/folder/000001";
    await mkdir(join(from, sample, ".."), { recursive: true });
    await copyFile(picture, join(from, `${sample}.jpg`));
    await writeFile(join(from, `${sample}.cls`), "3\n");
    const tar = join(from, "one.tar");
    execFileSync("tar", [
      `--format=${format}`,
      "-C",
      from,
      "-cf",
      tar,
      `${sample}.jpg`,
      `${sample}.cls`,
    ]);
    const data = await loadTarShards([tar], small);
    expect([data.length, data.numClasses, data.locate(0).label]).toEqual([1, 4, 3]);
    expect(data.locate(0).name).toBe(`${tar}/${sample}.jpg`);
    const { offset, length } = data.locate(0);
    expect((await readFile(tar)).subarray(offset, offset + length)).toEqual(
      await readFile(picture),
    );
  }
});

test("encoded images are copied byte for byte, and the same input gives the same file", async () => {
  const root = scratch();
  for (const name of ["cat", "dog"]) {
    await mkdir(join(root, name));
    await copyFile(picture, join(root, name, "1.JPEG"));
  }
  const source = await loadImageFolder(root, small);
  const [one] = await writeTarShards(scratch(), source);
  const [two] = await writeTarShards(scratch(), source);
  expect(await readFile(one!)).toEqual(await readFile(two!));
  const copy = await loadTarShards(join(one!, ".."), small);
  expect(copy.classNames).toEqual(["cat", "dog"]);
  expect(await copy.get(1)).toEqual(await source.get(1));
  const grey = await loadTarShards(join(one!, ".."), { ...small, channels: 1 });
  expect(await grey.get(1)).toEqual(
    await (await loadImageFolder(root, { ...small, channels: 1 })).get(1),
  );
  const again = await writeTarShards(scratch(), copy); // shards from shards
  expect(await readFile(again[0]!)).toEqual(await readFile(one!));
});

test("the index is kept and rebuilt when a shard changes", async () => {
  const folder = scratch();
  await writeTarShards(folder, images, { shardSize: 6 });
  const options = { ...small, indexFile: join(folder, "index") };
  const first = await loadTarShards(folder, options);
  const stored = await readFile(options.indexFile);
  const second = await loadTarShards(folder, options);
  expect(Array.from({ length: 11 }, (_, i) => second.locate(i))).toEqual(
    Array.from({ length: 11 }, (_, i) => first.locate(i)),
  );
  expect(await readFile(options.indexFile)).toEqual(stored);
  await writeTarShards(folder, synthetic({ length: 5, key: key(1), imageShape: [32, 32, 3] }), {
    shardSize: 6,
  });
  await utimes(join(folder, "shard-000000.tar"), 1e9, 1e9);
  expect((await loadTarShards(folder, options)).length).toBe(10); // 5 new, 5 of the old second shard
});

/** The first shard of `images` with some bytes changed. */
async function changed(change: (bytes: Buffer, entries: TarEntry[]) => Buffer): Promise<string> {
  const [file] = await writeTarShards(scratch(), images);
  const entries: TarEntry[] = [];
  for await (const entry of tarEntries("test", file!)) entries.push(entry);
  await writeFile(file!, change(await readFile(file!), entries));
  return file!;
}

test("damaged shards are errors with file and offset", async () => {
  const flipped = await changed((bytes, entries) => {
    bytes[entries[2]!.offset - 512]! ^= 1;
    return bytes;
  });
  const checksum = await fileFailure(loadTarShards([flipped], small));
  expect(checksum.details).toMatchObject({ file: flipped, expected: "a tar header" });
  expect(checksum.message).toContain("a checksum of");
  const cut = await fileFailure(
    loadTarShards(
      [await changed((bytes, entries) => bytes.subarray(0, entries[5]!.offset + 9))],
      small,
    ),
  );
  expect(cut.message).toMatch(
    /byte \d+: expected \d+ bytes of 000000002.png, got the end of the file after 9/,
  );
  const half = await fileFailure(
    loadTarShards([await changed((bytes) => bytes.subarray(0, 100))], small),
  );
  expect(half.details).toMatchObject({ offset: 100, expected: "a header of 512 bytes" });
  const label = await fileFailure(
    loadTarShards(
      [
        await changed((bytes, entries) => {
          bytes.write("x", entries[0]!.offset);
          return bytes;
        }),
      ],
      small,
    ),
  );
  expect(label.message).toContain("the class in decimal digits (000000000.cls), got x");
  const lone = await fileFailure(
    loadTarShards(
      [await changed((bytes, entries) => bytes.subarray(entries[0]!.offset + 512))],
      small,
    ),
  );
  expect(lone.message).toContain("an entry 000000000.cls in the sample 000000000");
  expect((await fileFailure(loadTarShards(scratch(), small))).message).toContain(
    "holds no .tar file",
  );
  const [file] = await writeTarShards(scratch(), images);
  const range = await fileFailure(loadTarShards([file!], { ...small, classNames: ["a", "b"] }));
  expect(range.message).toContain("a class below 2, got 2 for");
});

test("CIFAR-10's binary files: written, read, the same images in the same order", async () => {
  const folder = scratch();
  const test = synthetic({ length: 3, key: key(0), imageShape: [32, 32, 3], split: "test" });
  await writeCifar10(folder, { train: images, test });
  expect((await readdir(folder)).sort()).toEqual([
    "batches.meta.txt",
    ...[1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
    "test_batch.bin",
  ]);
  const read = await loadCifar10(folder);
  expect([read.train.length, read.test.length]).toEqual([11, 3]);
  for (let i = 0; i < 11; i++) expect(read.train.pixels(i)).toEqual(images.pixels(i));
  for (let i = 0; i < 3; i++) expect(read.test.pixels(i)).toEqual(test.pixels(i));
});

test("what cannot be written is refused", async () => {
  const folder = scratch();
  const grey = synthetic({ length: 5, key: key(0) });
  await expect(writeCifar10(folder, { train: grey, test: grey })).rejects.toThrow(
    "must be 32x32x3, got 28x28x1",
  );
  const few = synthetic({ length: 4, key: key(0), imageShape: [32, 32, 3] });
  await expect(writeCifar10(folder, { train: few, test: few })).rejects.toThrow(
    "at least 5 images, got 4",
  );
  const two = synthetic({ length: 5, key: key(0), imageShape: [32, 32, 3], numClasses: 2 });
  await expect(writeCifar10(folder, { train: two, test: two })).rejects.toThrow(
    "must have 10 classes, got 2",
  );
  await expect(writeTarShards(folder, images, { shardSize: 0 })).rejects.toThrow("shardSize");
  expect(await readdir(folder)).toEqual([]); // nothing half-written is left
});
