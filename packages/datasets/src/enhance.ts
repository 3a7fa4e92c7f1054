import { luma } from "./grey.ts";
import type { PixelImage } from "./pixels.ts";

/** `from + weight * (to - from)` in float32, cut to a byte (PIL `Image.blend`); `weight` is a float32. */
function blend(from: number, to: number, weight: number): number {
  const value = Math.fround(from + Math.fround(weight * (to - from)));
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
}

/** Blends every value with the same level. */
function blendWithLevel(image: PixelImage, level: number, factor: number): PixelImage {
  const weight = Math.fround(factor);
  const table = Uint8Array.from({ length: 256 }, (_, value) => blend(level, value, weight));
  const data = new Uint8Array(image.data.length);
  for (let i = 0; i < data.length; i++) data[i] = table[image.data[i]!]!;
  return { ...image, data };
}

/** Saturation: 0 is grey, 1 the image itself (PIL `ImageEnhance.Color`). */
export function color(image: PixelImage, factor: number): PixelImage {
  const { data, channels } = image;
  const weight = Math.fround(factor);
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += channels) {
    const grey = luma(data, i, channels);
    for (let channel = i; channel < i + channels; channel++)
      out[channel] = blend(grey, data[channel]!, weight);
  }
  return { ...image, data: out };
}

/** Contrast: 0 is the mean grey, 1 the image itself (PIL `ImageEnhance.Contrast`). */
export function contrast(image: PixelImage, factor: number): PixelImage {
  const { data, height, width, channels } = image;
  let sum = 0;
  for (let i = 0; i < data.length; i += channels) sum += luma(data, i, channels);
  return blendWithLevel(image, Math.trunc(sum / (height * width) + 0.5), factor);
}

/** Brightness: 0 is black, 1 the image itself (PIL `ImageEnhance.Brightness`). */
export function brightness(image: PixelImage, factor: number): PixelImage {
  return blendWithLevel(image, 0, factor);
}

/** Sharpness: 0 is smoothed, 1 the image itself, above sharper (PIL `ImageEnhance.Sharpness`). */
export function sharpness(image: PixelImage, factor: number): PixelImage {
  const weight = Math.fround(factor);
  const out = smooth(image);
  for (let i = 0; i < out.length; i++) out[i] = blend(out[i]!, image.data[i]!, weight);
  return { ...image, data: out };
}

/** The mean over 3x3 pixels with weight 5 in the middle; the border stays (PIL `ImageFilter.SMOOTH`). */
function smooth({ data, height, width, channels }: PixelImage): Uint8Array {
  const out = data.slice();
  const line = width * channels;
  for (let row = 1; row < height - 1; row++)
    for (let i = row * line + channels; i < (row + 1) * line - channels; i++) {
      const above = i - line;
      const below = i + line;
      const sum =
        data[above - channels]! +
        data[above]! +
        data[above + channels]! +
        data[i - channels]! +
        5 * data[i]! +
        data[i + channels]! +
        data[below - channels]! +
        data[below]! +
        data[below + channels]!;
      out[i] = Math.floor(sum / 13 + 0.5);
    }
  return out;
}
