import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readFixture } from "../../../testing/fixtures.ts";
import { drawErasedBox, eraseBox } from "./random-erasing.ts";

/**
 * Draws of timm 0.5.4 `RandomErasing(mode="pixel")` on 32x32 images and the rectangles they gave (the same
 * reference run as the other packages' fixtures: torch 1.13, seeds 11420 and following).
 */
const { cases } = JSON.parse(
  readFileSync(new URL("./__fixtures__/random-erasing.json", import.meta.url), "utf8"),
) as {
  cases: {
    probability: number;
    draws: [string, number, number, number][];
    applied: boolean;
    top: number;
    left: number;
    h: number;
    w: number;
  }[];
};

/** timm's draws as uniforms in [0, 1), in its order; throws beyond the last. */
function playBack(draws: [string, number, number, number][]) {
  const queue = draws.map(([kind, low, high, value]) =>
    kind === "randint" ? (value - low + 0.5) / (high - low + 1) : (value - low) / (high - low),
  );
  return { queue, uniform: () => queue.shift()! };
}

test("timm's draws give timm's rectangles", () => {
  for (const { probability, draws, applied, top, left, h, w } of cases) {
    const { queue, uniform } = playBack(draws);
    expect(drawErasedBox(32, 32, probability, uniform)).toEqual(
      applied ? { top, left, height: h, width: w } : undefined,
    );
    expect(queue).toEqual([]);
  }
  expect(cases.map(({ applied }) => applied)).toEqual([false, true, true, true]);
});

test("ten rectangles that do not fit leave the image alone", () => {
  const queue = [0, ...new Array(20).fill(0.9999)]; // height would exceed the image each time
  expect(drawErasedBox(4, 1000, 1, () => queue.shift()!)).toBeUndefined();
  expect(queue).toEqual([]);
});

test("the rectangle is filled with mean + std * normal, row by row, and nothing else changes", () => {
  const image = new Float32Array(4 * 3 * 2).fill(9);
  let count = 0;
  eraseBox(image, 3, { top: 1, left: 1, height: 2, width: 1 }, [0.5, 1], [0.25, 2], () => ++count);
  const expected = new Float32Array(24).fill(9);
  expected.set([0.75, 5], 8); // row 1, column 1: 0.5 + 0.25 * 1, 1 + 2 * 2
  expected.set([1.25, 9], 14); // row 2: 0.5 + 0.25 * 3, 1 + 2 * 4
  expect(image).toEqual(expected);
});

const reference = new URL(
  "../../../../shared/reference/helpers/random_erasing.safetensors",
  import.meta.url,
);
test.skipIf(!existsSync(reference))("the erased images of the reference", () => {
  const tensors = readFixture(reference);
  const planesToPixels = (planes: ArrayLike<number>, pixels: number) =>
    Float32Array.from(
      { length: 3 * pixels },
      (_, i) => planes[(i % 3) * pixels + Math.floor(i / 3)]!,
    );
  for (const [i, { applied, top, left, h, w }] of cases.entries()) {
    const image = planesToPixels(tensors.get(`case${i}.x`).data, 1024);
    if (applied) {
      const noise = planesToPixels(tensors.get(`case${i}.pixels`).data, h * w);
      let next = 0;
      eraseBox(
        image,
        32,
        { top, left, height: h, width: w },
        [0, 0, 0],
        [1, 1, 1],
        () => noise[next++]!,
      );
    }
    expect(image).toEqual(planesToPixels(tensors.get(`case${i}.y`).data, 1024));
  }
});
