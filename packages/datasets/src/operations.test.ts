import { foldIn, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { expect, test } from "vitest";
import { flipHorizontal, outputShape, renderImage } from "./apply-operations.ts";
import { arrayDataset } from "./array-dataset.ts";
import { batches } from "./batches.ts";
import {
  centerCrop,
  evaluationTransform,
  type ImageOperation,
  randAugment,
  randomCrop,
  randomErasing,
  randomHorizontalFlip,
  randomResizedCrop,
  resize,
} from "./operations.ts";
import type { PixelImage } from "./pixels.ts";
import { synthetic } from "./synthetic.ts";

const source = synthetic({ length: 4, key: key(0), imageShape: [20, 30, 3] });
const image: PixelImage = source.pixels(0);

function render(operations: ImageOperation[], seed?: number): Float32Array {
  const shape = outputShape("test", operations, [20, 30, 3], 3);
  const out = new Float32Array(shape[0] * shape[1] * shape[2]);
  renderImage(image, operations, seed === undefined ? undefined : key(seed), out);
  return out;
}

test("a flip swaps columns, keeps rows and channels", () => {
  const data = Uint8Array.from({ length: 12 }, (_, i) => i);
  const flipped = flipHorizontal({ data, height: 2, width: 3, channels: 2 });
  expect(Array.from(flipped.data)).toEqual([4, 5, 2, 3, 0, 1, 10, 11, 8, 9, 6, 7]);
});

test("each operation draws from its own stream, so removing one leaves the others", () => {
  const both = render([randomHorizontalFlip(1), randAugment()], 3);
  const alone = render([randomHorizontalFlip(0), randAugment()], 3);
  const flippedFirst = new Float32Array(1800);
  renderImage(
    flipHorizontal(image),
    [randomHorizontalFlip(0), randAugment()],
    key(3),
    flippedFirst,
  );
  expect(both).toEqual(flippedFirst);
  expect(both).not.toEqual(alone);
  expect(render([randomHorizontalFlip(0.5)], 3)).toEqual(
    generator(foldIn(key(3), 0))() < 0.5 ? render([randomHorizontalFlip(1)], 3) : render([]),
  );
});

test("a random crop shifts the image, black from outside, every window equally often", () => {
  const pixels = { data: Uint8Array.from([1, 2, 3, 4]), height: 2, width: 2, channels: 1 };
  const windows = new Map<string, number>();
  for (let seed = 0; seed < 900; seed++) {
    const out = new Float32Array(4);
    renderImage(pixels, [randomCrop(2, { padding: 1 })], key(seed), out);
    const window = Array.from(out, (value) => Math.round(value * 255)).join(" ");
    windows.set(window, (windows.get(window) ?? 0) + 1);
  }
  const rows = ["0 0 0 1", "0 0 1 2", "0 0 2 0", "0 1 0 3", "1 2 3 4", "2 0 4 0"];
  expect([...windows.keys()].sort()).toEqual([...rows, "0 3 0 0", "3 4 0 0", "4 0 0 0"].sort());
  for (const count of windows.values()) expect(Math.abs(count - 100)).toBeLessThan(50);
  expect(render([randomCrop(12)], 1)).toHaveLength(12 * 12 * 3);
  expect(() => render([randomCrop(29, { padding: 4 })], 1)).toThrow(
    "randomCrop of 29 pixels with padding 4 got images of 20x30; resize and crop them first",
  );
  expect(() => randomCrop(28, { padding: -1 })).toThrow("padding must be a whole number of pixels");
});

test("random erasing comes after the bytes became floats", () => {
  const erased = render([randomErasing(1)], 5);
  const plain = render([]);
  const changed = erased.filter((value, i) => value !== plain[i]).length;
  expect(changed).toBeGreaterThanOrEqual(0.015 * 1800);
  expect(changed).toBeLessThanOrEqual(0.36 * 1800);
  expect(erased.some((value) => value < 0)).toBe(true); // noise is not cut to [0, 1]
  expect(render([randomErasing(0)], 5)).toEqual(plain);
});

test("random erasing happens as often as it should", () => {
  const plain = render([]);
  let erased = 0;
  for (let seed = 0; seed < 400; seed++)
    if (Buffer.compare(bytesOf(render([randomErasing(0.25)], seed)), bytesOf(plain)) !== 0)
      erased++;
  expect(erased).toBeGreaterThan(65); // 100 expected, deviation 8.7
  expect(erased).toBeLessThan(135);
});

const bytesOf = ({ buffer }: Float32Array) => Buffer.from(buffer);

test("output shapes follow the operations", () => {
  expect(outputShape("t", [], [20, 30, 3], 3)).toEqual([20, 30, 3]);
  expect(outputShape("t", [resize(10)], [20, 30, 3], 3)).toEqual([10, 15, 3]);
  expect(outputShape("t", [resize(10)], [30, 20, 3], 3)).toEqual([15, 10, 3]);
  expect(outputShape("t", evaluationTransform(), undefined, 3)).toEqual([224, 224, 3]);
  expect(evaluationTransform()).toEqual([resize(256), centerCrop(224)]);
  expect(evaluationTransform(192)).toEqual([resize(219), centerCrop(192)]);
  expect(evaluationTransform(384)).toEqual([resize(384), centerCrop(384)]);
  expect(() => outputShape("t", [resize(10)], undefined, 3)).toThrow(
    "different sizes need a transform",
  );
  expect(() => outputShape("t", [randAugment()], [8, 8, 1], 1)).toThrow("three channels, got 1");
  expect(() => outputShape("t", [randomErasing(), resize(8)], [8, 8, 3], 3)).toThrow(
    "must be the last",
  );
  expect(() => outputShape("t", [randomErasing()], [8, 8, 1], 1)).toThrow(
    "needs mean and std for 1",
  );
});

test("arguments outside their ranges are errors", () => {
  expect(() => resize(0)).toThrow("resize: size must be an integer of 1 to 16384");
  expect(() => randomResizedCrop(8, { scale: [0, 1] })).toThrow("scale must be a range in (0, 1]");
  expect(() => randomResizedCrop(8, { ratio: [2, 1] })).toThrow("ratio must be a range");
  expect(() => randomErasing(2)).toThrow("probability must lie in [0, 1]");
  expect(() => randomErasing(1, { mean: [Number.NaN], std: [1] })).toThrow(
    "randomErasing: mean must hold finite numbers, got [NaN]",
  );
  expect(() => randomErasing(1, { mean: [0, 0], std: [1, -1] })).toThrow(
    "randomErasing: std must hold finite numbers of at least 0, got [1,-1]",
  );
  for (const fill of [[Number.NaN], [0, 256, 0]])
    expect(() => randAugment(undefined, { fill })).toThrow(
      `randAugment: fill must hold numbers in [0, 255], got [${fill}]`,
    );
  expect(() => randomErasing(0.5, { mean: [0] })).toThrow("one value per channel");
  expect(() => render([randomHorizontalFlip()])).toThrow("a random operation needs a key");
  const unknown = { op: "blur" } as unknown as ImageOperation;
  expect(() => renderImage(image, [unknown], key(0), new Float32Array(1800))).toThrow('"blur"');
});

test("an array data set takes bytes and a number of classes, and nothing else", () => {
  const make = (images: unknown, numClasses = 2) =>
    arrayDataset({
      name: "a",
      images: images as Uint8Array,
      labels: [0],
      imageShape: [1, 1, 3],
      numClasses,
    });
  for (const images of [new Float32Array(3), new Int8Array(3), [1, 2, 3]])
    expect(() => make(images)).toThrow("images must be bytes in a Uint8Array, got ");
  for (const numClasses of [-3, 0, 1.5, Number.NaN])
    expect(() => make(new Uint8Array(3), numClasses)).toThrow(
      `numClasses must be a positive integer, got ${numClasses}`,
    );
  for (const images of [Buffer.from([255, 0, 51]), Uint8ClampedArray.of(255, 0, 51)])
    expect([...make(images).get(0).image]).toEqual([1, 0, Math.fround(0.2)]);
});

test("batches take the shape of their transform", async () => {
  const dataset = arrayDataset({
    name: "wide",
    images: new Uint8Array(2 * 20 * 30 * 3).fill(51),
    labels: [0, 1],
    imageShape: [20, 30, 3],
    numClasses: 2,
  });
  const transform = [randomResizedCrop(12), randomHorizontalFlip()];
  for await (const batch of batches(dataset, { batchSize: 2, key: key(0), transform })) {
    expect(batch.imageShape).toEqual([12, 12, 3]);
    expect(batch.images).toEqual(new Float32Array(2 * 12 * 12 * 3).fill(0.2));
  }
});
