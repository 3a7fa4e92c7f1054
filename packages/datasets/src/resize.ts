import { DmaeError } from "@dmae/core";
import type { PixelImage } from "./pixels.ts";
import { resizeInJavaScript } from "./resize-javascript.ts";
import { resizeInWasm } from "./resize-wasm.ts";

/** Most pixels of a result; of them alone an image takes 768 MiB. */
const mostPixels = 2 ** 28;

/**
 * Resizes as `Image.resize(…, BICUBIC)` of Pillow up to version 12 does, to the bit (13 rounds some reductions
 * otherwise): Keys' kernel with a = -0.5, widened by the reduction factor (so that it also filters), coefficients in
 * 22-bit fixed point, first along rows, then along columns, with rounding to bytes in between. Colour images go
 * through WebAssembly where it is there.
 *
 * The bicubic resize of *tensors* in the models (a = -0.75, no filter) is another one: `resizeBicubic` of
 * `@dmae/nn/layers`.
 *
 * @param image bytes, `[H, W, C]`
 * @param height rows of the result
 * @param width columns of the result
 */
export function resizePixels(image: PixelImage, height: number, width: number): PixelImage {
  for (const [name, side] of Object.entries({ height, width }))
    if (!Number.isInteger(side) || side < 1)
      throw new DmaeError(
        "argument",
        `resizePixels: ${name} must be a positive integer, got ${side}`,
      );
  if (height * width > mostPixels)
    throw new DmaeError(
      "argument",
      `resizePixels: ${height} x ${width} pixels are too many, at most 2^28; crop an image of ${image.height} x ${image.width} before`,
    );
  if (height === image.height && width === image.width) return image;
  return resizeInWasm(image, height, width) ?? resizeInJavaScript(image, height, width);
}
