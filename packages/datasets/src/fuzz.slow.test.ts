import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { DmaeError, foldIn, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { expect, test } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { loadCifar10 } from "./cifar.ts";
import { decodeImage } from "./decode.ts";
import { loadImageFolder } from "./image-folder.ts";
import { loadIdx } from "./load-idx.ts";
import { loadSharp } from "./load-sharp.ts";
import { centerCrop } from "./operations.ts";
import { synthetic } from "./synthetic.ts";
import { loadTarShards } from "./tar-shards.ts";
import { writeTarShards } from "./write-tar-shards.ts";

/** Damages bytes in one to four of the ways in which files are damaged, and some in which they are forged. */
function mutate(original: Uint8Array, draw: () => number): Buffer {
  const below = (limit: number) => Math.floor(draw() * limit);
  const headerFirst = (length: number) =>
    draw() < 0.5 ? below(Math.min(length, 40)) : below(length);
  let bytes = Buffer.from(original);
  for (let count = 1 + below(4); count > 0 && bytes.length > 0; count--) {
    const at = headerFirst(bytes.length);
    switch (below(7)) {
      case 0: // a flipped bit
        bytes[at]! ^= 1 << below(8);
        break;
      case 1: // another byte
        bytes[at] = below(256);
        break;
      case 2: // cut off
        bytes = bytes.subarray(0, at);
        break;
      case 3: // bytes too many
        bytes = Buffer.concat([bytes, Buffer.alloc(1 + below(600), below(256))]);
        break;
      case 4: // a huge or negative number
        bytes.fill(draw() < 0.5 ? 0xff : 0x7f, at, Math.min(bytes.length, at + 1 + below(8)));
        break;
      case 5: // a piece left out
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(20))]);
        break;
      default: // a piece repeated
        bytes = Buffer.concat([bytes.subarray(0, at + 9), bytes.subarray(at)]);
    }
  }
  return bytes;
}

/**
 * Runs `attempt` on `cases` damaged copies. It must resolve, or reject with a `DmaeError`; what it resolves to is
 * for `check`. Never more than 64 MiB of buffers beyond those at the start.
 */
async function fuzz<Result>(
  name: string,
  cases: number,
  original: Uint8Array,
  attempt: (bytes: Buffer) => Promise<Result>,
  check: (result: Result, bytes: Buffer) => void | Promise<void>,
): Promise<void> {
  const before = process.memoryUsage().arrayBuffers;
  let loaded = 0;
  for (let i = 0; i < cases; i++) {
    const bytes = mutate(original, generator(foldIn(foldIn(key("fuzz"), name), i)));
    try {
      const result = await attempt(bytes);
      loaded++;
      await check(result, bytes);
    } catch (error) {
      if (!DmaeError.isInstance(error)) throw new Error(`${name}, case ${i}`, { cause: error });
    }
    if (process.memoryUsage().arrayBuffers - before > 2 ** 26)
      throw new Error(`${name}, case ${i}: ${process.memoryUsage().arrayBuffers - before} bytes`);
  }
  expect(loaded, "some damaged files are still whole").toBeGreaterThan(0);
  expect(loaded, "some are not").toBeLessThan(cases);
}

const scratch = temporaryFolders("dmae-fuzz");
const bigEndian = (...values: number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
};
const images = Buffer.concat([
  bigEndian(0x803, 5, 6, 4),
  Buffer.from(Array.from({ length: 120 }, (_, i) => i * 2)),
]);
const labels = Buffer.concat([bigEndian(0x801, 5), Buffer.from([0, 9, 4, 1, 7])]);

test("40,000 damaged IDX files load as they are or fail with a typed error", async () => {
  const folder = scratch();
  const write = (images: Uint8Array, labels: Uint8Array) =>
    Promise.all([
      writeFile(join(folder, "test-images-idx3-ubyte"), images),
      writeFile(join(folder, "test-labels-idx1-ubyte"), labels),
    ]);
  const load = () => loadIdx(folder, { split: "test" });
  const plain = (bytes: Buffer) => (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes);
  for (const [name, original] of [
    ["idx images", images],
    ["idx.gz images", gzipSync(images)],
  ] as const)
    await fuzz(
      name,
      10_000,
      original,
      async (bytes) => {
        await write(bytes, labels);
        return load();
      },
      (data, bytes) => {
        const whole = plain(bytes);
        const rank = whole[3]!;
        const header = Array.from({ length: rank }, (_, i) => whole.readUInt32BE(4 + 4 * i));
        expect([data.length, ...data.imageShape.slice(0, rank - 1)]).toEqual(header);
        const size = data.imageShape.reduce((a, b) => a * b, 1);
        expect(whole).toHaveLength(4 + 4 * rank + 5 * size);
        expect(Buffer.compare(data.pixels(4).data, whole.subarray(whole.length - size))).toBe(0);
      },
    );
  for (const [name, original] of [
    ["idx labels", labels],
    ["idx.gz labels", gzipSync(labels)],
  ] as const)
    await fuzz(
      name,
      10_000,
      original,
      async (bytes) => {
        await write(images, bytes);
        return load();
      },
      (data, bytes) =>
        expect([0, 1, 2, 3, 4].map((i) => data.get(i).label)).toEqual([
          ...plain(bytes).subarray(8),
        ]),
    );
});

test("20,000 damaged CIFAR files load as they are or fail with a typed error", async () => {
  const folder = scratch();
  const records = Buffer.concat([3, 9].map((label) => Buffer.alloc(3073, label)));
  for (let i = 1; i < 6; i++) await writeFile(join(folder, `data_batch_${i}.bin`), records);
  await fuzz(
    "cifar",
    20_000,
    records,
    async (bytes) => {
      await writeFile(join(folder, "test_batch.bin"), bytes);
      return loadCifar10(folder, { split: "test" });
    },
    (data, bytes) => {
      expect(bytes).toHaveLength(3073 * data.length);
      for (let i = 0; i < data.length; i++) {
        const { data: pixels, label } = data.pixels(i);
        const record = bytes.subarray(3073 * i);
        expect(label).toBe(record[0]);
        expect([pixels[0], pixels[1], pixels[3071]]).toEqual([
          record[1],
          record[1025],
          record[3072],
        ]);
      }
    },
  );
});

const small = { transform: [centerCrop(8)], indexFile: false } as const;

test("10,000 damaged tar shards keep to their bytes or fail with a typed error", async () => {
  const folder = scratch();
  const source = synthetic({ length: 3, key: key(0), imageShape: [8, 8, 3] });
  const [file] = await writeTarShards(folder, source);
  await fuzz(
    "tar",
    10_000,
    await readFile(file!),
    async (bytes) => {
      await writeFile(file!, bytes);
      return loadTarShards([file!], small);
    },
    (data, bytes) => {
      for (let i = 0; i < data.length; i++) {
        const { offset, length, label } = data.locate(i);
        expect(offset + length).toBeLessThanOrEqual(bytes.length);
        expect(label).toBeLessThan(data.numClasses);
      }
    },
  );
});

test("2,000 damaged indices are recognised and built again", async () => {
  const folder = scratch();
  const source = synthetic({ length: 3, key: key(0), imageShape: [8, 8, 3] });
  const [file] = await writeTarShards(folder, source);
  const options = { ...small, indexFile: join(folder, "index") };
  const locations = (data: Awaited<ReturnType<typeof loadTarShards>>) =>
    [0, 1, 2].map((i) => data.locate(i));
  const expected = locations(await loadTarShards([file!], options));
  const stored = await readFile(options.indexFile);
  for (let i = 0; i < 2_000; i++) {
    await writeFile(options.indexFile, mutate(stored, generator(foldIn(key("index"), i))));
    expect(locations(await loadTarShards([file!], options)), `case ${i}`).toEqual(expected);
  }
});

test("4,000 damaged JPEG and PNG images decode to their size or fail with a typed error", async () => {
  const jpeg = await readFile(
    fileURLToPath(new URL("./__fixtures__/picture.jpg", import.meta.url)),
  );
  const sharp = await loadSharp("test");
  const png = await sharp(jpeg).resize(20, 15).png().toBuffer();
  for (const [name, original] of [
    ["jpeg", jpeg],
    ["png", png],
  ] as const)
    await fuzz(
      name,
      2_000,
      original,
      (bytes) => decodeImage(bytes, name, { maxPixels: 2 ** 20 }),
      ({ data, height, width, channels }) => {
        expect(channels).toBe(3);
        expect(data).toHaveLength(height * width * 3);
        expect(height * width).toBeLessThanOrEqual(2 ** 20);
      },
    );
});

test("folders with strange names open, and damaged files among them are named", async () => {
  const folder = scratch();
  const { mkdir } = await import("node:fs/promises");
  const names = ["a b", "ümlaut", "日本", "new\nline", "quote'\""];
  for (const name of names) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, `${name}.jpg`), "no image");
  }
  const data = await loadImageFolder(folder, small);
  expect(data.classNames).toEqual([...names].sort());
  for (let i = 0; i < data.length; i++)
    await expect(data.get(i)).rejects.toMatchObject({
      code: "file",
      details: { file: data.locate(i).file },
    });
});
