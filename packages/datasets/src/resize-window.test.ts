import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import sharp from "sharp";
import { expect, test } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { renderImage } from "./apply-operations.ts";
import { batches } from "./batches.ts";
import { cropCenter, resizeShorterSide } from "./crop.ts";
import { loadImageFolder } from "./image-folder.ts";
import { centerCrop, randomHorizontalFlip, resize } from "./operations.ts";
import { type PixelImage, toUnit } from "./pixels.ts";
import { resizeAndCropCenter } from "./resize-window.ts";

const scratch = temporaryFolders("dmae-window");
const draw = generator(key("window"));
const below = (limit: number) => Math.floor(draw() * limit);

/** Noise and hard edges, which overshoot below 0 and beyond 255. */
function picture(height: number, width: number, channels: number): PixelImage {
  const data = Uint8Array.from({ length: height * width * channels }, () =>
    draw() < 0.6 ? 255 * below(2) : below(256),
  );
  return { data, height, width, channels };
}

test("computing only what the crop keeps gives the bytes of resizing all and cropping", () => {
  for (let i = 0; i < 300; i++) {
    const image = picture(1 + below(90), 1 + below(90), i % 2 ? 3 : 1);
    const size = below(5) === 0 ? Math.min(image.height, image.width) : 1 + below(100);
    const side = below(5) === 0 ? size : 1 + below(size);
    const at = `case ${i}: ${image.height}x${image.width}, ${size}, ${side}`;
    const expected = cropCenter(resizeShorterSide(image, size), side);
    expect(resizeAndCropCenter(image, size, side), at).toEqual(expected);
  }
  const large = picture(900, 1300, 3); // beyond what WebAssembly gets, and 1300 wide
  expect(resizeAndCropCenter(large, 64, 48)).toEqual(cropCenter(resizeShorterSide(large, 64), 48));
});

test("a transform takes both together, and draws as before", () => {
  const image = picture(50, 70, 3);
  const out = new Float32Array(400 * 3);
  renderImage(image, [resize(32), centerCrop(20), randomHorizontalFlip(0)], key(1), out);
  expect(out).toEqual(toUnit(cropCenter(resizeShorterSide(image, 32), 20).data));
  expect(() => renderImage(image, [resize(16), centerCrop(20)], undefined, out)).toThrow(
    "centerCrop: size 20 is larger than the image, 16x22; resize first",
  );
});

/** Two files, the first of the given size, white; the other one 40x40. */
async function folder(height: number, width: number): Promise<string> {
  const root = scratch();
  await mkdir(join(root, "a"));
  for (const [name, h, w] of [
    ["1.png", height, width],
    ["2.png", 40, 40],
  ] as const)
    await sharp({ create: { height: h, width: w, channels: 3, background: "white" } })
      .png()
      .toFile(join(root, "a", name));
  return root;
}

test("the most elongated images pass through resize and centerCrop", async () => {
  for (const [height, width] of [
    [1, 30000],
    [30000, 1],
  ] as const) {
    const data = await loadImageFolder(await folder(height, width), { indexFile: false });
    const { image } = await data.get(0); // of 256 x 7680000 pixels only the crop is computed
    expect(image).toHaveLength(224 * 224 * 3);
    expect(image.every((value) => value === 1)).toBe(true);
  }
});

test("where the whole result would be needed, the error names the file and onCorrupt gets it", async () => {
  const root = await folder(1, 30000);
  const transform = [resize(256), randomHorizontalFlip(), centerCrop(224)];
  const data = await loadImageFolder(root, { indexFile: false });
  const options = { batchSize: 2, transform, key: key(0) };
  const error = await batches(data, options)
    .next()
    .catch((thrown: unknown) => thrown);
  expect(DmaeError.isInstance(error, "file") && error.details.file).toBe(`${root}/a/1.png`);
  expect(String(error)).toMatch(/resize: .*67108864 .* 1x30000 would become 256x7680000; .*1\.png/);
  const reported: unknown[] = [];
  const onCorrupt = ({ details }: DmaeError) => reported.push(details.file);
  const { value } = await batches(data, { ...options, onCorrupt }).next();
  expect(Array.from(value!.indices)).toEqual([1, 1]);
  expect(reported).toEqual([`${root}/a/1.png`]);
  const small = await loadImageFolder(root, { indexFile: false, transform: [centerCrop(64)] });
  await expect(small.get(1)).rejects.toThrow(/larger than the image, 40x40; .*a\/2\.png/);
});
