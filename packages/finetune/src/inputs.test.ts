import { type Batch, key, normal } from "@dmae/core";
import { noiseKeys } from "@dmae/train/tasks";
import { createViT } from "@dmae/vit";
import { describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { finetuneInputs } from "./inputs.ts";
import { finetuneRecipes } from "./recipes.ts";

const { config } = createViT(
  { width: 8, depth: 3, heads: 2 },
  { imageSize: 8, inputSize: 4, patchSize: 4, numClasses: 3 },
);
const recipe = {
  ...finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"],
  sigma: [0.1, 0.5] as const,
  dropPath: 0.4,
};
const root = key("inputs.test");

const batchOf = (indices: number[]): Batch => ({
  images: Float32Array.from({ length: indices.length * 48 }, (_, i) => i),
  labels: Int32Array.from(indices, (index) => index % 3),
  indices: Int32Array.from(indices),
  size: indices.length,
  imageShape: [4, 4, 3],
});
const inputs = (indices: number[], step = 5, epoch = 1, change: object = {}) =>
  finetuneInputs({ ...recipe, ...change }, batchOf(indices), {
    key: root,
    step,
    epoch,
    model: config,
  });

describe("finetuneInputs", () => {
  it("draws for an image what its epoch, index and copy say, whatever batch it is in", () => {
    const many = inputs([4, 9, 2, 7]);
    const few = inputs([7, 9], 11);
    const row = (from: typeof many, name: string, i: number) => {
      const { data, shape } = from[name]!;
      const size = data.length / shape[0]!;
      return data.subarray(i * size, (i + 1) * size);
    };
    for (const [a, b] of [
      [3, 0],
      [1, 1],
      [7, 2],
      [5, 3],
    ] as const) {
      // image 7 and 9, copies 0 and 1
      expect(row(few, "noise", b)).toEqual(row(many, "noise", a));
      expect(row(few, "sigma", b % 2)).toEqual(row(many, "sigma", a % 4));
      for (let branch = 0; branch < 6; branch++)
        expect(few.dropPath!.data[branch * 4 + b]).toBe(many.dropPath!.data[branch * 8 + a]);
    }
    expect(row(many, "noise", 3)).not.toEqual(row(many, "noise", 7)); // copies differ
    expect(inputs([7], 5, 2).noise!.data).not.toEqual(inputs([7], 5, 1).noise!.data); // epochs too
  });

  it("draws a sigma for each image, or one for the whole batch", () => {
    const { data } = inputs([4, 9]).sigma!;
    expect(data.length).toBe(2);
    expect(data[0]).not.toBe(data[1]);
    for (const sigma of data) expect(sigma >= 0.1 && sigma < 0.5).toBe(true);
    const whole = inputs([4, 9], 5, 1, { sigmaPer: "batch" }).sigma!.data;
    expect(new Set(whole).size).toBe(1);
    expect(inputs([4, 9], 6, 1, { sigmaPer: "batch" }).sigma!.data).not.toEqual(whole);
    expect(inputs([4, 9], 5, 1, { sigma: 0.25 }).sigma).toBeUndefined();
  });

  it("repeats targets batch after batch where copies are mixed, and leaves out what the recipe has not", () => {
    const plain = { mixup: 0, cutmix: 0, labelSmoothing: 0, dropPath: 0, sigma: 1 };
    const made = inputs([4, 9], 5, 1, plain);
    expect(Object.keys(made).sort()).toEqual(["images", "noise", "targets"]);
    expectClose(made.targets!.data, [0, 1, 0, 1, 0, 0]); // classes 1, 0
    expect(inputs([4, 9]).targets!.shape).toEqual([4, 3]);
    expect(made.noise!.shape).toEqual([4, 4, 4, 3]);
    expect(Object.keys(inputs([4, 9]))).toContain("mixRows");
    expect(inputs([4, 9]).mixRows!.shape).toEqual([8]); // mixed after resizing
  });

  it("takes noise that a loader drew ahead, if it is this run's", () => {
    const batch = batchOf([4, 9]);
    const options = { key: root, step: 5, epoch: 1, model: config };
    const drawn = finetuneInputs(recipe, batch, options).noise!.data;
    const noise = new Float32Array(192);
    noiseKeys(
      root,
      2,
    )(1).forEach((copyKey, copy) => {
      for (const i of [0, 1])
        normal(copyKey, noise.subarray((2 * copy + i) * 48, (2 * copy + i + 1) * 48), {
          index: [4, 9][i]!,
        });
    });
    expect(noise).toEqual(drawn);
    expect(finetuneInputs(recipe, { ...batch, noise } as Batch, options).noise!.data).toBe(noise);
    const other = noise.map((value) => -value);
    expect(() => finetuneInputs(recipe, { ...batch, noise: other } as Batch, options)).toThrow(
      "must be drawn from the keys of this run",
    );
    expect(() =>
      finetuneInputs(recipe, { ...batch, noise: noise.subarray(1) } as Batch, options),
    ).toThrow("noise must hold 192 values (2 copies of the batch), got 191");
  });
});
