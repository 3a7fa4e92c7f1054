import { type ImageDataset, key } from "@dmae/core";
import { batchLoader, synthetic } from "@dmae/datasets";
import { describe, expect, it } from "vitest";
import { shuffledBatches, toBatchSource, withBatchSize } from "./batches.ts";
import { requireImages } from "./data.ts";

const data = synthetic({ length: 22, key: key(1), imageShape: [4, 4, 1], numClasses: 3 });
const source = shuffledBatches(data, { batchSize: 5, key: key(2) });

describe("shuffledBatches", () => {
  it("gives whole batches, each image at most once an epoch, in an order of its own each epoch", async () => {
    expect(source.stepsPerEpoch).toBe(4);
    const epoch = async (first: number) => {
      const batches = await Promise.all([0, 1, 2, 3].map((i) => source.at(first + i)));
      return batches.flatMap((batch) => Array.from(batch.indices));
    };
    const [first, second] = [await epoch(0), await epoch(4)];
    expect(new Set(first).size).toBe(20);
    expect(new Set(second).size).toBe(20);
    expect(second).not.toEqual(first);
    expect(await epoch(0)).toEqual(first); // whenever it is asked for
  });

  it("gives the batches of batchLoader in @dmae/datasets", async () => {
    const loader = batchLoader(data, { batchSize: 5, dropLast: true, shuffle: true, key: key(2) });
    for (const step of [6, 0, 9]) {
      const { images, labels, indices } = await loader.at(step);
      expect(await source.at(step)).toMatchObject({ images, labels, indices });
    }
    await loader.close();
    expect(toBatchSource(loader, { batchSize: 1, key: key(0) })).toBe(loader);
  });

  it("hands each image its own key in each epoch", async () => {
    const seen = new Map<string, string>();
    const transformed = shuffledBatches(data, {
      batchSize: 5,
      key: key(2),
      transform(image, { key: own, epoch, index, imageShape }) {
        expect(imageShape).toEqual([4, 4, 1]);
        seen.set(`${epoch}/${index}`, `${own.high}/${own.low}`);
        return { ...image, image: image.image.map((value) => 1 - value) };
      },
    });
    const plain = await source.at(1);
    const { images } = await transformed.at(1);
    expect(images).toEqual(plain.images.map((value) => 1 - value));
    for (const step of [0, 2, 3, 4, 5, 6, 7]) await transformed.at(step);
    expect(new Set(seen.values()).size).toBe(seen.size);
    expect(seen.size).toBe(40);
  });

  it("names a batch size that cannot be, and images of another size", async () => {
    expect(() => shuffledBatches(data, { batchSize: 23, key: key(0) })).toThrow(
      `shuffledBatches: batchSize must lie in 1 … 22 (images of ${data.name}), got 23`,
    );
    const wrong: ImageDataset = {
      ...data,
      get: () => ({ image: new Float32Array(15), label: 0 }),
    };
    await expect(shuffledBatches(wrong, { batchSize: 2, key: key(0) }).at(0)).rejects.toThrow(
      "must have 16 values (4 x 4 x 1), got 15",
    );
  });

  it("takes images without labels where nobody reads them", async () => {
    const unlabelled: ImageDataset = {
      ...data,
      get: async (index) => ({ image: (await data.get(index)).image }) as never,
    };
    const options = { batchSize: 4, key: key(1) };
    const [with_, without] = await Promise.all([
      shuffledBatches(data, options).at(0),
      shuffledBatches(unlabelled, { ...options, unlabelled: true }).at(0),
    ]);
    expect(without.images).toEqual(with_.images);
    expect(Array.from(without.labels)).toEqual([0, 0, 0, 0]);
  });

  it("names labels that are no integers, and a transform that is no function", async () => {
    for (const label of [Number.NaN, 1.5, undefined as unknown as number, 2 ** 31]) {
      const odd: ImageDataset = {
        ...data,
        get: async (index) => ({ ...(await data.get(index)), label }),
      };
      await expect(shuffledBatches(odd, { batchSize: 22, key: key(0) }).at(0)).rejects.toThrow(
        new RegExp(
          `shuffledBatches: the label of image \\d+ must be a 32-bit integer, got ${label}`,
        ),
      );
    }
    const transform = [{ op: "flip" }] as never;
    expect(() => shuffledBatches(data, { batchSize: 5, key: key(0), transform })).toThrow(
      "shuffledBatches: transform must be a function of an image, got an array",
    );
  });
});

describe("withBatchSize", () => {
  it("hands on batches of the size that the recipe says", async () => {
    expect(await withBatchSize(source, 5, "pretrain").at(6)).toEqual(await source.at(6));
  });

  it("names both sizes, at once where the source says its own, else with the batch", async () => {
    const message = "must hold the batchSize of the recipe, 4 images, got 5; set one to the other";
    expect(() => withBatchSize(source, 4, "pretrain")).toThrow(
      `pretrain: the batches of the source ${message}`,
    );
    const { batchSize: _, ...silent } = source;
    await expect(withBatchSize(silent, 4, "pretrain").at(3)).rejects.toThrow(
      `pretrain: batch 3 ${message}`,
    );
    const ragged = batchLoader(data, { batchSize: 5 });
    const { batchSize: __, ...said } = { batchSize: 5, ...ragged };
    const whole = withBatchSize(said, 5, "pretrain");
    expect((await whole.at(3)).size).toBe(5);
    await expect(whole.at(4)).rejects.toThrow(
      "5 images, got 2; set one to the other, and dropLast",
    );
    await ragged.close();
  });
});

describe("requireImages", () => {
  const check = (change: object) => () =>
    requireImages(data, {
      caller: "pretrain",
      imageShape: [4, 4, 1],
      augments: false,
      transform: undefined,
      ...change,
    });

  it("accepts what fits and names what does not", () => {
    expect(check({ numClasses: 3 })).not.toThrow();
    expect(check({ imageShape: [8, 8, 1] })).toThrow(
      "pretrain: images must be [8,8,1], got [4,4,1]",
    );
    expect(check({ numClasses: 10 })).toThrow("numClasses of the model must be the 3 of");
    expect(check({ augments: true })).toThrow("this recipe augments its images");
    expect(check({ augments: true, transform: (image: unknown) => image })).not.toThrow();
  });
});
