import type { PixelImage } from "./pixels.ts";

/** `from + factor * (to - from)` in float32, cut to bytes (PIL `Image.blend`). */
function blend(from: PixelImage, to: PixelImage, factor: number): PixelImage {
  const weight = Math.fround(factor);
  if (weight === 0) return from;
  if (weight === 1) return to;
  const out = new Uint8Array(to.data.length);
  for (let i = 0; i < out.length; i++) {
    const start = from.data[i]!;
    const value = Math.fround(start + Math.fround(weight * (to.data[i]! - start)));
    out[i] = Math.max(0, Math.min(255, value));
  }
  return { ...to, data: out };
}

/** Luma of a pixel in 16-bit fixed point (PIL `convert("L")`); a grey value as it is. */
function luma({ data, channels }: PixelImage, pixel: number): number {
  const i = pixel * channels;
  if (channels === 1) return data[i]!;
  return (data[i]! * 19595 + data[i + 1]! * 38470 + data[i + 2]! * 7471 + 0x8000) >> 16;
}

function filled(image: PixelImage, value: (pixel: number) => number): PixelImage {
  const { channels } = image;
  const data = new Uint8Array(image.data.length);
  for (let pixel = 0; pixel < data.length / channels; pixel++)
    data.fill(value(pixel), pixel * channels, (pixel + 1) * channels);
  return { ...image, data };
}

/** Saturation: 0 is grey, 1 the image itself (PIL `ImageEnhance.Color`). */
export function color(image: PixelImage, factor: number): PixelImage {
  return blend(
    filled(image, (pixel) => luma(image, pixel)),
    image,
    factor,
  );
}

/** Contrast: 0 is the mean grey, 1 the image itself (PIL `ImageEnhance.Contrast`). */
export function contrast(image: PixelImage, factor: number): PixelImage {
  const count = image.height * image.width;
  let sum = 0;
  for (let pixel = 0; pixel < count; pixel++) sum += luma(image, pixel);
  const mean = Math.trunc(sum / count + 0.5);
  return blend(
    filled(image, () => mean),
    image,
    factor,
  );
}

/** Brightness: 0 is black, 1 the image itself (PIL `ImageEnhance.Brightness`). */
export function brightness(image: PixelImage, factor: number): PixelImage {
  return blend(
    filled(image, () => 0),
    image,
    factor,
  );
}

/** Sharpness: 0 is smoothed, 1 the image itself, above sharper (PIL `ImageEnhance.Sharpness`). */
export function sharpness(image: PixelImage, factor: number): PixelImage {
  return blend(smooth(image), image, factor);
}

/** The mean over 3x3 pixels with weight 5 in the middle; the border stays (PIL `ImageFilter.SMOOTH`). */
function smooth(image: PixelImage): PixelImage {
  const { data, height, width, channels } = image;
  const out = data.slice();
  const line = width * channels;
  for (let row = 1; row < height - 1; row++)
    for (let i = row * line + channels; i < (row + 1) * line - channels; i++) {
      let sum = 4 * data[i]!;
      for (let y = -line; y <= line; y += line)
        sum += data[i + y - channels]! + data[i + y]! + data[i + y + channels]!;
      out[i] = Math.floor(sum / 13 + 0.5);
    }
  return { ...image, data: out };
}
