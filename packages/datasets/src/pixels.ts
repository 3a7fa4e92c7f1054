import type { ImageShape, LabeledImage } from "@dmae/core";

/** An image as bytes: what decoders make and what the augmentations of this package work on. */
export interface PixelImage {
  /** `[H, W, C]` row-major, 0 … 255. */
  readonly data: Uint8Array;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
  /** Values per pixel: 1 (grey) or 3 (red, green, blue). */
  readonly channels: number;
}

/** A {@link PixelImage} and its class index. */
export interface LabeledPixels extends PixelImage {
  /** Class index. */
  readonly label: number;
}

const levels = Float32Array.from({ length: 256 }, (_, value) => value / 255);

/**
 * Bytes to float32 in [0, 1]: `value / 255`, as torchvision's `ToTensor` does, without its transposition.
 *
 * @param pixels bytes of any length
 * @param out where to write; a new array if left out
 * @param offset first element of `out` to write
 */
export function toUnit(
  pixels: Uint8Array,
  out: Float32Array = new Float32Array(pixels.length),
  offset = 0,
): Float32Array {
  const whole = pixels.length - (pixels.length % 4);
  for (let i = 0; i < whole; i += 4) {
    out[offset + i] = levels[pixels[i]!]!; // four at a time: twice as fast
    out[offset + i + 1] = levels[pixels[i + 1]!]!;
    out[offset + i + 2] = levels[pixels[i + 2]!]!;
    out[offset + i + 3] = levels[pixels[i + 3]!]!;
  }
  for (let i = whole; i < pixels.length; i++) out[offset + i] = levels[pixels[i]!]!;
  return out;
}

/** Float32 in [0, 1] to bytes: the nearest level; the inverse of {@link toUnit}. */
export function toPixels(image: Float32Array, shape: ImageShape): PixelImage {
  const data = new Uint8Array(image.length);
  for (let i = 0; i < data.length; i++)
    data[i] = Math.max(0, Math.min(255, Math.round(image[i]! * 255)));
  return { data, height: shape[0], width: shape[1], channels: shape[2] };
}

/** The float32 form of labelled bytes. */
export function toLabeledImage(pixels: LabeledPixels): LabeledImage {
  return { image: toUnit(pixels.data), label: pixels.label };
}
