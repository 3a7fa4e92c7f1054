import { describe, expect, it, test } from "vitest";
import { batchRows, type RowGroups, rankRows } from "./rank-rows.ts";

const shares = (batchSize: number, groups: RowGroups | undefined, size: number) =>
  Array.from({ length: size }, (_, rank) => [
    ...rankRows("train", batchSize, groups, { rank, size }),
  ]);

describe("rankRows", () => {
  it("shares rows, groups and mirrored pairs as evenly as they allow", () => {
    expect(shares(8, undefined, 3)).toEqual([
      [0, 1],
      [2, 3, 4],
      [5, 6, 7],
    ]);
    expect(shares(8, 2, 3)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5, 6, 7],
    ]);
    expect(shares(8, "mirrored", 2)).toEqual([
      [0, 1, 6, 7],
      [2, 3, 4, 5],
    ]);
  });

  it.each([undefined, "mirrored", 3] as const)("gives each row of %o to one rank", (groups) => {
    for (const batchSize of [12, 21])
      for (const size of [1, 2, 3, 4]) {
        const all = shares(batchSize, groups, size);
        expect(all.flat().sort((a, b) => a - b)).toEqual(
          Array.from({ length: batchSize }, (_, i) => i),
        );
        if (groups !== "mirrored") continue;
        // reversing a rank's rows mirrors them in the whole batch
        for (const rows of all)
          expect(rows.toReversed()).toEqual(rows.map((row) => batchSize - 1 - row));
      }
  });

  it("names what keeps a rank without rows", () => {
    expect(() => shares(2, undefined, 3)).toThrow(
      "train: 3 ranks cannot share 2 images in 2 rows; start at most 2 ranks, or raise the recipe's batchSize and lower accumulate",
    );
    expect(() => shares(4, "mirrored", 3)).toThrow(
      "4 images in 2 pairs, which mixup and CutMix mix",
    );
    expect(() => shares(4, 4, 2)).toThrow("4 images in 1 groups of 4, over which batch norm");
  });
});

test("batchRows takes images, labels, indices, and the noise of every copy", () => {
  const batch = {
    images: Float32Array.of(0, 0.1, 0.2, 0.3, 0.4, 0.5),
    labels: Int32Array.of(7, 8, 9),
    indices: Int32Array.of(70, 80, 90),
    size: 3,
    imageShape: [1, 2, 1] as const,
    noise: Float32Array.from({ length: 12 }, (_, i) => i),
  };
  const { images, labels, indices, size, noise } = batchRows(batch, Int32Array.of(2, 0));
  expect([...images]).toEqual([...Float32Array.of(0.4, 0.5, 0, 0.1)]);
  expect([[...labels], [...indices], size]).toEqual([[9, 7], [90, 70], 2]);
  expect([...noise!]).toEqual([4, 5, 0, 1, 10, 11, 6, 7]);
});
