import { DmaeError, foldIn, type ImageDataset, key } from "@dmae/core";
import { generator, permutation } from "@dmae/core/random";
import { expect, test } from "vitest";
import { arrayDataset } from "./array-dataset.ts";
import { batchLoader } from "./batch-loader.ts";
import { batches } from "./batches.ts";
import { randomHorizontalFlip } from "./operations.ts";
import { sample, splitDataset } from "./sample.ts";
import { everyNth, subset, take } from "./views.ts";

/** Ten images of two pixels, `[2i, 2i + 1]`. */
const ten = arrayDataset({
  name: "ten",
  images: Uint8Array.from({ length: 20 }, (_, i) => i),
  labels: Array.from({ length: 10 }, (_, i) => i % 3),
  imageShape: [1, 2, 1],
  numClasses: 3,
});

async function collect(...options: Parameters<typeof batches>) {
  const all = [];
  for await (const batch of batches(...options)) all.push(batch);
  return all;
}

test("batches in order, the last one smaller unless dropped", async () => {
  const all = await collect(ten, { batchSize: 4 });
  expect(all.map((batch) => Array.from(batch.indices))).toEqual([
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9],
  ]);
  expect(all.map(({ size }) => size)).toEqual([4, 4, 2]);
  expect(Array.from(all[2]!.images)).toEqual(
    [16, 17, 18, 19].map((level) => Math.fround(level / 255)),
  );
  expect(Array.from(all[2]!.labels)).toEqual([2, 0]);
  expect(all[0]!.imageShape).toEqual([1, 2, 1]);
  expect(await collect(ten, { batchSize: 4, dropLast: true })).toHaveLength(2);
});

test("a data set needs no name: messages say the data set", async () => {
  const grey: ImageDataset = {
    ...{ length: 2, imageShape: [1, 1, 1], numClasses: 1 },
    get: () => ({ image: Float32Array.of(255), label: 0 }),
  };
  await expect(collect(grey, { batchSize: 1 })).rejects.toThrow(
    "batches: image 0 of the data set must lie in [0, 1], got 255",
  );
  expect(() => batchLoader({ ...grey, length: 0 }, { batchSize: 1 })).toThrow(
    "batchLoader: the data set has no images",
  );
});

test("a data set that nobody awaited is told", async () => {
  const promise = Promise.resolve(ten) as never;
  await expect(collect(promise, { batchSize: 1 })).rejects.toThrow(
    'batches: the data set is a promise; await it first, e.g. await loadImageFolder("photos")',
  );
  const calls = {
    batchLoader: () => batchLoader(promise, { batchSize: 1 }),
    take: () => take(promise, 1),
    everyNth: () => everyNth(promise, 1),
    subset: () => subset(promise, [0]),
    sample: () => sample(promise, 1),
    splitDataset: () => splitDataset(promise),
  };
  for (const [name, call] of Object.entries(calls))
    expect(call).toThrow(`${name}: the data set is a promise`);
});

test("the order of epoch e is permutation(foldIn(key, e))", async () => {
  for (const epoch of [0, 1, 7]) {
    const all = await collect(ten, { batchSize: 3, shuffle: true, key: key(5), epoch });
    const order = all.flatMap((batch) => Array.from(batch.indices));
    expect(order).toEqual(Array.from(permutation(foldIn(key(5), epoch), 10)));
    for (const batch of all)
      expect(Array.from(batch.labels)).toEqual(Array.from(batch.indices, (index) => index % 3));
  }
});

test("flips are addressed by key, epoch and index, whatever the batch size and the order", async () => {
  const flipped = async (batchSize: number, shuffle: boolean, epoch: number) => {
    const options = { batchSize, shuffle, key: key(3), epoch, transform: [randomHorizontalFlip()] };
    const found = new Array<boolean>(10);
    for (const { images, indices } of await collect(ten, options))
      indices.forEach((index, i) => {
        found[index] = images[2 * i]! > images[2 * i + 1]!;
      });
    return found;
  };
  const expected = (epoch: number) =>
    Array.from({ length: 10 }, (_, index) => {
      const image = foldIn(foldIn(foldIn(key(3), "image"), epoch), index);
      return generator(foldIn(image, 0))() < 0.5;
    });
  expect(expected(0)).not.toEqual(expected(1));
  for (const epoch of [0, 1]) {
    expect(await flipped(1, false, epoch)).toEqual(expected(epoch));
    expect(await flipped(4, true, epoch)).toEqual(expected(epoch));
  }
});

test("a function transform is given the image's address", async () => {
  const seen: number[] = [];
  const all = await collect(ten, {
    batchSize: 5,
    key: key(0),
    epoch: 2,
    transform: ({ image, label }, context) => {
      seen.push(context.index);
      expect(context.epoch).toBe(2);
      expect(context.key).toEqual(foldIn(foldIn(foldIn(key(0), "image"), 2), context.index));
      return { image: image.map((value) => 1 - value), label: label + 1 };
    },
  });
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => i));
  expect(all[0]!.images[1]).toBe(Math.fround(1 - Math.fround(1 / 255)));
  expect(all[0]!.labels[0]).toBe(1);
  const shorter = collect(ten, {
    batchSize: 5,
    transform: ({ label }) => ({ image: new Float32Array(1), label }),
  });
  await expect(shorter).rejects.toThrow("must have 2 values, got 1");
});

test("a loader's batch depends on the step alone", async () => {
  const options = { batchSize: 4, shuffle: true, key: key(9), dropLast: true };
  const forward = batchLoader(ten, options);
  expect(forward.stepsPerEpoch).toBe(2);
  const inOrder = [];
  for (let step = 0; step < 6; step++) inOrder.push(await forward.at(step));
  const backward = batchLoader(ten, { ...options, prefetch: 0 });
  for (let step = 5; step >= 0; step--) expect(await backward.at(step)).toEqual(inOrder[step]);
  await Promise.all([forward.close(), backward.close()]);
});

/** A data set without bytes that counts what is asked of it. */
function counting(failing = -1): ImageDataset & { asked: number[] } {
  const asked: number[] = [];
  return {
    name: "counting",
    length: 12,
    imageShape: [1, 1, 1],
    numClasses: 1,
    asked,
    async get(index) {
      asked.push(index);
      if (index === failing) throw new DmaeError("file", `image ${index} is damaged`);
      return { image: Float32Array.of(index / 255), label: 0 };
    },
  };
}

test("prefetch prepares that many batches and never beyond the epoch", async () => {
  const dataset = counting();
  const iterator = batches(dataset, { batchSize: 2, prefetch: 2 });
  await iterator.next();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(dataset.asked).toEqual([0, 1, 2, 3, 4, 5]);
  for await (const _ of iterator);
  expect(dataset.asked).toEqual(Array.from({ length: 12 }, (_, i) => i));
});

test("leaving the loop early and errors in prepared batches are clean", async () => {
  const dataset = counting(5);
  const iterator = batches(dataset, { batchSize: 2, prefetch: 3 });
  const first = await iterator.next();
  expect(first.done).toBe(false);
  await new Promise((resolve) => setTimeout(resolve, 5)); // image 5 has failed, unseen
  expect((await iterator.next()).done).toBe(false);
  await expect(iterator.next()).rejects.toThrow("image 5 is damaged");
  const other = batches(counting(5), { batchSize: 2, prefetch: 3 });
  await other.next();
  await other.return();
});

test("float data sets go through operations as the nearest bytes", async () => {
  const all = await collect(counting(), { batchSize: 12, transform: [] });
  expect(Array.from(all[0]!.images)).toEqual(
    Array.from({ length: 12 }, (_, i) => Math.fround(i / 255)),
  );
});

test("options outside their ranges are errors", async () => {
  const cases: [Parameters<typeof batches>[1], string][] = [
    [{ batchSize: 0 }, "batchSize must be a positive integer, got 0"],
    [{ batchSize: 2.5 }, "got 2.5"],
    [{ batchSize: 11, dropLast: true }, "leaves no batch"],
    [{ batchSize: 2, shuffle: true }, "shuffle needs a key"],
    [{ batchSize: 2, transform: [randomHorizontalFlip()] }, "randomHorizontalFlip needs a key"],
    [{ batchSize: 2, prefetch: -1 }, "prefetch must be"],
    [{ batchSize: 2, epoch: -1 }, "epoch must be"],
  ];
  for (const [options, message] of cases)
    await expect(collect(ten, options)).rejects.toThrow(message);
  await expect(batchLoader(ten, { batchSize: 2 }).at(-1)).rejects.toThrow("step must be");
  expect(() => randomHorizontalFlip(1.5)).toThrow("probability must lie in [0, 1]");
});

test.each([
  ["bytes", [0, 255], "must lie in [0, 1], got 255 at element 1"],
  ["[-1, 1]", [-1, 1], "must lie in [0, 1], got -1 at element 0"],
  ["NaN", [0, Number.NaN], "must lie in [0, 1], got NaN at element 1"],
  ["too few values", [0], "must have 2 values, got 1"],
])("a data set of floats is not clipped to bytes: %s", async (_, values, message) => {
  const own = (image: readonly number[]): ImageDataset => ({
    ...{ name: "own", length: 1, imageShape: [1, 2, 1], numClasses: 1 },
    get: () => ({ image: Float32Array.from(image), label: 0 }),
  });
  const options = { batchSize: 1, key: key(0), transform: [randomHorizontalFlip(0.5)] };
  for (const given of [options, { batchSize: 1 }])
    await expect(collect(own(values), given)).rejects.toThrow(`batches: image 0 of own ${message}`);
  const [batch] = await collect(own([-0.001, 1.001]), options);
  expect(Array.from(batch!.images).sort()).toEqual([0, 1]);
});
