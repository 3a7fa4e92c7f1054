import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { resizePixels } from "@dmae/datasets/transforms";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { certify } from "../procedures/certify.ts";
import { image } from "./image-source.ts";

const [height, width] = [5, 8];
const bytes = Uint8Array.from({ length: 3 * height * width }, (_, i) => (i * 37) % 256);
const raw = { raw: { height, width, channels: 3 as const } };
const png = new Uint8Array(await sharp(bytes, raw).png().toBuffer());
const at = join(mkdtempSync(join(tmpdir(), "smoothing-image-")), "image.jpg"); // told by its content
writeFileSync(at, png);
const rgba = Uint8ClampedArray.from({ length: 4 * height * width }, (_, i) =>
  i % 4 === 3 ? 7 : bytes[Math.floor(i / 4) * 3 + (i % 4)]!,
);
const pixels = { data: rgba, height, width };
const canvas = { height, width, getContext: () => ({ getImageData: () => pixels }) };
const unit = (values: Uint8Array) => Float32Array.from(values, (byte) => byte / 255);

describe("image", () => {
  it.each([
    ["a path", at],
    ["a file URL", pathToFileURL(at)],
    ["the text of a file URL", String(pathToFileURL(at))],
    ["a data URL", `data:image/png;base64,${Buffer.from(png).toString("base64")}`],
    ["a Buffer", readFileSync(at)],
    ["an ArrayBuffer", png.buffer as ArrayBuffer],
    ["a Blob", new Blob([png])],
    ["an ImageData", pixels],
    ["a canvas", canvas],
  ])("reads %s", async (_, source) => {
    expect(await image(source)).toEqual({ data: unit(bytes), shape: [height, width, 3] });
  });

  it("resizes the shorter side as Pillow does, and takes the middle", async () => {
    const resized = resizePixels({ data: bytes, height, width, channels: 3 }, 4, 6); // floor(4 · 8 / 5)
    const middle = [0, 1, 2, 3].flatMap((y) => [...resized.data.subarray(18 * y + 3, 18 * y + 15)]);
    for (const source of [at, pixels])
      expect(await image(source, { size: 4 })).toEqual({
        data: unit(Uint8Array.from(middle)),
        shape: [4, 4, 3],
      });
    expect((await image(at, { size: [4, 6] })).data).toEqual(unit(resized.data));
    expect((await image(at, { size: 4, crop: 2 })).shape).toEqual([2, 2, 3]);
  });

  it.each([
    [5, 1, 2],
    [6, 1, 2], // 2.5, which torchvision's CenterCrop takes for 2
    [8, 1, 4], // 3.5, for 4
    [9, 2, 4],
    [10, 1, 4],
  ])("crops the middle of %d pixels to %d from column %d", async (side, crop, first) => {
    const column = (i: number) => [Math.floor(i / 4) % side, 0, 0, 255][i % 4]!;
    const data = Uint8Array.from({ length: 4 * side * side }, (_, i) => column(i));
    const { data: out } = await image({ data, height: side, width: side }, { crop });
    expect(Math.round(255 * out[0]!)).toBe(first);
  });

  it("takes grey as Pillow does", async () => {
    const colours = [255, 0, 0, 0, 255, 0, 10, 200, 77, 255, 255, 254];
    const rgba = [0, 1, 2, 3].flatMap((i) => [...colours.slice(3 * i, 3 * i + 3), 255]);
    const source = { data: Uint8Array.from(rgba), height: 1, width: 4 };
    // Pillow 13.0.0: Image.new("RGB", (4, 1)), putdata(colours), convert("L").getdata()
    const expected = { data: unit(Uint8Array.of(76, 150, 129, 255)), shape: [1, 4, 1] };
    expect(await image(source, { channels: 1 })).toEqual(expected);
    expect((await image(at, { channels: 1, size: 4 })).shape).toEqual([4, 4, 1]);
    await expect(image(at, { channels: 4 as never })).rejects.toThrow("channels must be 1 or 3");
  });

  it("says what is wrong", async () => {
    const text = new TextEncoder().encode("<svg xmlns='http://www.w3.org/2000/svg'/>");
    await expect(image(text)).rejects.toThrow("the given image is not a readable image");
    await expect(image("nowhere.jpg")).rejects.toThrow("image: cannot read nowhere.jpg: ENOENT");
    await expect(image(tmpdir())).rejects.toThrow("it is a folder, not a file");
    await expect(image(at, { size: 0 })).rejects.toThrow("size and crop must be an integer");
    await expect(image(at, { crop: 6 })).rejects.toThrow("crop must be at most the image's 5x8");
    await expect(image(5 as never)).rejects.toThrow("source must be a path, URL, Blob");
    await expect(image({ ...pixels, height: 6 })).rejects.toThrow("4 bytes for each of its 8x6");
  });

  it("is what certify takes, which states the shape that it certified", async () => {
    const bright = (batch: Float32Array, [n = 0]: number[]) =>
      Array.from({ length: n }, (_, i) => (batch[i * 48]! > 0.5 ? 1 : 0));
    const options = { sigma: 0.25, n: 20, n0: 5, numClasses: 2 };
    const result = await certify(bright, await image(at, { size: 4 }), options);
    expect(result.shape).toEqual([4, 4, 3]);
  });
});
