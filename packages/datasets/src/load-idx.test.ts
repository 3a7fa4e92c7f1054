import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { failure } from "../../../testing/failure.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { loadIdx } from "./load-idx.ts";

const scratch = temporaryFolders("dmae-idx");

const header = (...dimensions: number[]) => {
  const bytes = Buffer.alloc(4 + 4 * dimensions.length);
  bytes.writeUInt32BE(0x0800 + dimensions.length);
  for (const [i, dimension] of dimensions.entries()) bytes.writeUInt32BE(dimension, 4 + 4 * i);
  return bytes;
};

const images = Buffer.concat([
  header(2, 2, 3),
  Buffer.from([0, 51, 102, 153, 204, 255, 5, 4, 3, 2, 1, 0]),
]);
const labels = Buffer.concat([header(2), Buffer.from([9, 4])]);

async function folder(files: Record<string, Uint8Array>): Promise<string> {
  const path = scratch();
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(path, name), bytes);
  return path;
}

const testSplit = (changed: { images?: Uint8Array; labels?: Uint8Array }) =>
  folder({
    "t10k-images-idx3-ubyte": changed.images ?? images,
    "t10k-labels-idx1-ubyte": changed.labels ?? labels,
  });

/** The error of opening the test split of `path`. */
const testSplitFailure = (path: string, options = {}) =>
  failure(loadIdx(path, { split: "test", ...options }), "file");

test("both splits open, plain or gzip, with pixels divided by 255", async () => {
  const path = await folder({
    "train-images-idx3-ubyte.gz": gzipSync(images),
    "train-labels.idx1-ubyte": labels,
    "test-images-idx3-ubyte": images,
    "t10k-labels-idx1-ubyte.gz": gzipSync(labels),
  });
  const { train, test } = await loadIdx(path);
  expect(train.name).toBe("idx/train");
  expect(train.length).toBe(2);
  expect(train.imageShape).toEqual([2, 3, 1]);
  expect(train.get(0).label).toBe(9);
  expect(Array.from(train.get(0).image)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1].map(Math.fround));
  expect(Array.from(test.pixels(1).data)).toEqual([5, 4, 3, 2, 1, 0]);
  expect(test.get(1).label).toBe(4);
});

test("a position outside the data set is an error", async () => {
  const data = await loadIdx(await testSplit({}), { split: "test" });
  expect(() => data.get(2)).toThrow("index must be an integer in [0, 2) for idx/test, got 2");
  expect(() => data.get(-1)).toThrow("got -1");
  expect(() => data.get(0.5)).toThrow("got 0.5");
});

test("a missing file is named", async () => {
  const error = await testSplitFailure(await folder({ "t10k-images-idx3-ubyte": images }));
  expect(error.message).toContain("has no t10k-labels-idx1-ubyte");
  await expect(loadIdx("/nonexistent-folder")).rejects.toThrow("cannot read the folder");
});

test("an empty file, a wrong magic number, a wrong rank", async () => {
  expect(
    (await testSplitFailure(await testSplit({ images: Buffer.alloc(0) }))).details,
  ).toMatchObject({
    offset: 0,
    expected: "an IDX header",
  });
  const floats = Buffer.from(images);
  floats[2] = 0x0d;
  expect((await testSplitFailure(await testSplit({ images: floats }))).details).toMatchObject({
    offset: 0,
    received: "00 00 0d 03",
  });
  expect((await testSplitFailure(await testSplit({ images: labels }))).message).toContain(
    "rank 3 or 4 (images)",
  );
  expect((await testSplitFailure(await testSplit({ labels: images }))).message).toContain(
    "rank 1 (labels)",
  );
});

test("truncated and overlong files name the byte", async () => {
  const short = await testSplitFailure(await testSplit({ images: images.subarray(0, 20) }));
  expect(short.message).toMatch(
    /t10k-images-idx3-ubyte, byte 20: expected 28 bytes in all.*2x2x3, got 20/,
  );
  const long = await testSplitFailure(
    await testSplit({ images: Buffer.concat([images, Buffer.alloc(3)]) }),
  );
  expect(long.details).toMatchObject({ offset: 28 });
  const zippedLong = gzipSync(Buffer.concat([images, Buffer.alloc(3)]));
  expect((await testSplitFailure(await testSplit({ images: zippedLong }))).message).toContain(
    "28 bytes after decompression",
  );
  const cut = await testSplitFailure(await testSplit({ images: gzipSync(images).subarray(0, 25) }));
  expect(cut.message).toMatch(/gzip stream|IDX header|dimensions|in all/);
});

test("a header that promises terabytes allocates nothing", async () => {
  const huge = Buffer.concat([header(2 ** 31, 2 ** 10, 2 ** 10), Buffer.alloc(12)]);
  expect((await testSplitFailure(await testSplit({ images: huge }))).message).toContain("maxBytes");
  expect((await testSplitFailure(await testSplit({ images: gzipSync(huge) }))).message).toContain(
    "maxBytes",
  );
  const big = Buffer.concat([header(1000, 1000, 1000), Buffer.alloc(12)]);
  expect((await testSplitFailure(await testSplit({ images: gzipSync(big) }))).message).toContain(
    "got 28 after",
  );
});

test("labels out of range and label counts that differ", async () => {
  const wrong = Buffer.concat([header(2), Buffer.from([9, 10])]);
  expect((await testSplitFailure(await testSplit({ labels: wrong }))).details).toMatchObject({
    offset: 9,
    expected: "a label below 10 (numClasses)",
    received: "10 for image 1",
  });
  const path = await testSplit({ labels: wrong });
  expect((await loadIdx(path, { split: "test", numClasses: 47 })).numClasses).toBe(47);
  const three = Buffer.concat([header(3), Buffer.from([1, 2, 3])]);
  expect((await testSplitFailure(await testSplit({ labels: three }))).message).toContain(
    "2 labels, one for each image",
  );
});
