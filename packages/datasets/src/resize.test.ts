import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readFixture } from "../../../testing/fixtures.ts";
import { flipHorizontal } from "./apply-operations.ts";
import { crop, cropCenter, drawCropBox, resizeShorterSide, roundHalfEven } from "./crop.ts";
import type { PixelImage } from "./pixels.ts";
import { resizePixels } from "./resize.ts";

const fixtures = new URL("./__fixtures__/", import.meta.url);
const pil = readFixture(new URL("pil.safetensors", fixtures));
const notes = JSON.parse(readFileSync(new URL("pil.json", fixtures), "utf8"));

function image(from: typeof pil, name: string): PixelImage {
  const { shape, data } = from.get(name);
  const [height, width, channels = 1] = shape as [number, number, number?];
  return { data: data as Uint8Array, height, width, channels };
}

function expectSame(actual: PixelImage, expected: PixelImage): void {
  expect([actual.height, actual.width, actual.channels]).toEqual([
    expected.height,
    expected.width,
    expected.channels,
  ]);
  expect(Buffer.compare(actual.data, expected.data), "bytes differ").toBe(0);
}

test("every size is Pillow's, byte for byte", () => {
  const large = image(pil, "large");
  for (const [height, width] of notes.resize)
    expectSame(resizePixels(large, height, width), image(pil, `resize.${height}x${width}`));
  expectSame(resizePixels(image(pil, "grey"), 24, 31), image(pil, "grey.resize.24x31"));
});

test("resizing the shorter side and cropping the centre is torchvision's", () => {
  for (const { name, size, crop: side, resized_wh } of notes.eval) {
    const resized = resizeShorterSide(image(pil, `${name}.source`), size);
    expect([resized.width, resized.height]).toEqual(resized_wh);
    expectSame(cropCenter(resized, side), image(pil, name));
  }
});

test("a crop resized is torchvision's resized_crop", () => {
  const { size, ...box } = notes.rrc;
  expectSame(resizePixels(crop(image(pil, "large"), box), size, size), image(pil, "rrc"));
});

test("rounding as Python does", () => {
  expect([0.5, 1.5, 2.5, 3.4, 3.6, 7].map(roundHalfEven)).toEqual([0, 2, 2, 3, 4, 7]);
});

test("sizes that make no sense are errors", () => {
  expect(() => resizePixels(image(pil, "small"), 0, 3)).toThrow(
    "height must be a positive integer, got 0",
  );
  expect(() => resizePixels(image(pil, "small"), 3, 2.5)).toThrow("width must be");
  expect(() => cropCenter(image(pil, "small"), 33)).toThrow("larger than the image, 32x40");
});

/** Plays back numbers. */
const script = (values: number[]) => () => {
  if (values.length === 0) throw new Error("too many draws");
  return values.shift()!;
};

test("a random crop: area, ratio, top, left, in this order, worked out by hand", () => {
  // area 100*50*(0.2 + 0.8*0.5) = 3000; ratio exp(0) = 1 at the middle; side round(54.77) = 55 > 50: again
  // area 5000*(0.2 + 0.8*0.25) = 2000, ratio 1: side round(44.72) = 45; top floor(0.5*56), left floor(0.99*6)
  expect(
    drawCropBox(100, 50, [0.2, 1], [3 / 4, 4 / 3], script([0.5, 0.5, 0.25, 0.5, 0.5, 0.99])),
  ).toEqual({
    top: 28,
    left: 5,
    height: 45,
    width: 45,
  });
});

test("after ten tries a random crop is the largest centred one", () => {
  const never = script(new Array(20).fill(0.999));
  expect(drawCropBox(10, 100, [0.2, 1], [3 / 4, 4 / 3], never)).toEqual({
    top: 0,
    left: 43,
    height: 10,
    width: 13,
  });
  const wide = script(new Array(20).fill(0.999));
  expect(drawCropBox(100, 10, [0.2, 1], [3 / 4, 4 / 3], wide)).toEqual({
    top: 43,
    left: 0,
    height: 13,
    width: 10,
  });
});

test("the largest centred rectangle has a pixel, however narrow", () => {
  const never = () => script(new Array(20).fill(0.999));
  const box = { top: 0, left: 9, height: 1, width: 1 }; // 1 * 0.3 rounds to no column
  expect(drawCropBox(1, 20, [1, 1], [0.1, 0.3], never())).toEqual(box);
  expect(drawCropBox(20, 1, [1, 1], [3, 10], never())).toEqual({ ...box, top: 9, left: 0 });
});

const reference = new URL("../../../../shared/reference/images/", import.meta.url);
test.skipIf(!existsSync(reference))("the ImageNet samples of the reference, byte for byte", () => {
  const list = JSON.parse(readFileSync(new URL("images.json", reference), "utf8")).images;
  for (const { file, rrc, center_crop_top_left, resized_size_wh } of list) {
    const tensors = readFixture(new URL(file.replace(".JPEG", ".safetensors"), reference));
    const rgb = image(tensors, "rgb");
    const resized = resizeShorterSide(rgb, 256);
    expect([resized.width, resized.height]).toEqual(resized_size_wh);
    expect(
      [resized.height - 224, resized.width - 224].map((rest) => roundHalfEven(rest / 2)),
    ).toEqual(center_crop_top_left);
    expectSame(cropCenter(resized, 224), image(tensors, "eval_224"));
    const { i, j, h, w, hflip_after } = rrc;
    const cut = resizePixels(crop(rgb, { top: i, left: j, height: h, width: w }), 224, 224);
    expectSame(hflip_after ? flipHorizontal(cut) : cut, image(tensors, "rrc_224"));
  }
});
