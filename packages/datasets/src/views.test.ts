import type { ImageDataset } from "@dmae/core";
import { expect, test } from "vitest";
import { arrayDataset } from "./array-dataset.ts";
import { everyNth, subset, take } from "./views.ts";

const images = Uint8Array.from({ length: 7 }, (_, i) => i * 10);
const seven = arrayDataset({
  name: "seven",
  images,
  labels: [0, 1, 2, 0, 1, 2, 0],
  imageShape: [1, 1, 1],
  numClasses: 3,
  classNames: ["a", "b", "c"],
});
const values = (dataset: typeof seven) =>
  Array.from({ length: dataset.length }, (_, i) => dataset.pixels(i).data[0]);

test("subset keeps order and repetitions, and nests", () => {
  const some = subset(seven, [6, 0, 0, 3]);
  expect(values(some)).toEqual([60, 0, 0, 30]);
  expect(values(subset(some, [3, 0]))).toEqual([30, 60]);
  expect(some.get(0).label).toBe(0);
  expect(some.classNames).toEqual(["a", "b", "c"]);
  expect(some.name).toMatch(/^seven\[4#[0-9a-f]{8}\]$/);
  expect(subset(seven, [6, 0, 3, 0]).name).not.toBe(some.name); // runs and logs know data by their names
  expect(() => some.get(4)).toThrow("[0, 4)");
});

test("take and everyNth choose the images of the certification scripts", () => {
  expect(values(take(seven, 3))).toEqual([0, 10, 20]);
  expect(values(everyNth(seven, 3))).toEqual([0, 30]); // floor(7 / 3) images
  expect(values(everyNth(seven, 1))).toHaveLength(7);
});

test("views of a data set without a name have none, and messages say the data set", () => {
  const { name: _, pixels: __, ...unnamed } = seven;
  const plain: ImageDataset = unnamed;
  expect([take(plain, 3), everyNth(plain, 2), subset(plain, [1])].map(({ name }) => name)).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(() => take(plain, 3).get(3)).toThrow("in [0, 3) for the data set, got 3");
});

test("positions outside and fractions are errors", () => {
  expect(() => subset(seven, [0, 7])).toThrow("got 7 at position 1");
  expect(() => subset(seven, [-1])).toThrow("got -1");
  expect(() => subset(seven, [Number.NaN])).toThrow("got NaN");
  expect(() => take(seven, 8)).toThrow("[0, 7], got 8");
  expect(() => everyNth(seven, 0)).toThrow("positive integer, got 0");
});

test("arrayDataset checks lengths, labels and names", () => {
  const options = { name: "x", images, imageShape: [1, 1, 1] as const, numClasses: 3 };
  expect(() => arrayDataset({ ...options, labels: [0] })).toThrow(
    "1 images of 1x1x1 need 1 bytes, got 7",
  );
  expect(() => arrayDataset({ ...options, labels: [0, 1, 2, 3, 0, 0, 0] })).toThrow(
    "got 3 at index 3",
  );
  expect(() => arrayDataset({ ...options, labels: [0, 1, 2, 0.5, 0, 0, 0] })).toThrow("got 0.5");
  const labels = [0, 0, 0, 0, 0, 0, 0];
  expect(() => arrayDataset({ ...options, labels, classNames: ["a"] })).toThrow("3 classes, got 1");
  expect(() => arrayDataset({ ...options, labels, imageShape: [0, 1, 1] })).toThrow(
    "positive integers",
  );
});
