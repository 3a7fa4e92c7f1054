import { describe, expect, it } from "vitest";
import { arrayDataset, sample, splitDataset } from "./index.ts";

/** 60 images of class 0, then 30 of class 1, then 10 of class 2; the pixel says the position. */
const labels = [...Array(60).fill(0), ...Array(30).fill(1), ...Array(10).fill(2)];
const data = arrayDataset({
  ...{ name: "sorted", labels, imageShape: [1, 1, 1], numClasses: 3 },
  images: Uint8Array.from(labels, (_, i) => i),
});
const positions = (view: typeof data) =>
  Array.from({ length: view.length }, (_, i) => view.pixels(i).data[0]!);
const counts = (view: typeof data) =>
  [0, 1, 2].map((label) => positions(view).filter((i) => labels[i] === label).length);

describe("sample", () => {
  it("keeps the proportions of the classes, without repetition, in order", () => {
    const some = sample(data, 20, { seed: 1 });
    expect(counts(some)).toEqual([12, 6, 2]);
    expect([some.name, sample(data, 20).name]).toEqual(["sorted[~20#1]", "sorted[~20]"]);
    expect(positions(some)).toEqual([...new Set(positions(some))].sort((a, b) => a - b));
    expect(counts(sample(data, 5))).toEqual([3, 2, 0]); // 3, 1.5, 0.5: the larger class of equal rests first
    expect(positions(sample(data, 100))).toEqual(labels.map((_, i) => i));
    expect(sample(data, 0).length).toBe(0);
  });

  it("follows from the seed", () => {
    expect(positions(sample(data, 20, { seed: 1 }))).toEqual(
      positions(sample(data, 20, { seed: 1 })),
    );
    expect(positions(sample(data, 20, { seed: 2 }))).not.toEqual(
      positions(sample(data, 20, { seed: 1 })),
    );
  });

  it("names counts that cannot be, and labels out of reach", () => {
    for (const count of [-1, 101, 1.5, Number.NaN])
      expect(() => sample(data, count)).toThrow(
        `count must be an integer in [0, 100], got ${count}`,
      );
    const { name, length, imageShape, numClasses } = data;
    const late = { name, length, imageShape, numClasses, get: async (i: number) => data.get(i) };
    expect(() => sample(late, 5)).toThrow(
      "sample: sorted must know its labels without reading images",
    );
  });
});

describe("splitDataset", () => {
  it("puts every image on one side, in proportion", () => {
    const { train, test } = splitDataset(data, { test: 0.3, seed: 4 });
    expect(counts(test)).toEqual([18, 9, 3]);
    expect([...positions(train), ...positions(test)].sort((a, b) => a - b)).toEqual(
      labels.map((_, i) => i),
    );
    expect([train.name, test.name]).toEqual(["sorted/train~0.3#4", "sorted/test~0.3#4"]);
    expect(splitDataset(data).train.name).toBe("sorted/train");
  });

  it("names shares that leave a side empty", () => {
    for (const test of [0, 1, Number.NaN])
      expect(() => splitDataset(data, { test })).toThrow(`test must lie in (0, 1), got ${test}`);
    expect(() => splitDataset(data, { test: 0.001 })).toThrow("must leave images on both sides");
  });
});
