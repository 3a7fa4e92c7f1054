import { DmaeError } from "@dmae/core";
import type { PixelImage } from "./pixels.ts";
import { resizePixels } from "./resize.ts";

/** A rectangle of pixels. */
export interface CropBox {
  /** First row. */
  readonly top: number;
  /** First column. */
  readonly left: number;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
}

/** Python's `round`: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** The pixels inside `box`, copied. */
export function crop({ data, width, channels }: PixelImage, box: CropBox): PixelImage {
  const line = box.width * channels;
  const out = new Uint8Array(box.height * line);
  for (let row = 0; row < box.height; row++) {
    const source = ((box.top + row) * width + box.left) * channels;
    out.set(data.subarray(source, source + line), row * line);
  }
  return { data: out, height: box.height, width: box.width, channels };
}

/** Height and width. */
type Size = Pick<PixelImage, "height" | "width">;

/** The size whose shorter side is `size` and whose longer one is `int(size * long / short)`. */
export function shorterSide({ height, width }: Size, size: number): Size {
  const long = Math.trunc((size * Math.max(height, width)) / Math.min(height, width));
  return width <= height ? { height: long, width: size } : { height: size, width: long };
}

/** Most pixels that a resize alone makes: a side of 8192 where both are equal. */
const maxResized = 2 ** 26;

/**
 * Resizes so that the shorter side has `size` pixels (torchvision `Resize(size)` on PIL images).
 *
 * @throws DmaeError "file" for an image so elongated that the result would not fit into memory
 */
export function resizeShorterSide(image: PixelImage, size: number): PixelImage {
  const { height, width } = shorterSide(image, size);
  if (height * width > maxResized)
    throw new DmaeError(
      "file",
      `resize: the result may have ${maxResized} pixels at most, an image of ${image.height}x${image.width} would become ${height}x${width}; put centerCrop right behind resize, which computes only what it keeps, or leave the image out`,
      { height: image.height, width: image.width },
    );
  return resizePixels(image, height, width);
}

/** The middle `size` x `size` pixels; halves are rounded as Python does (torchvision `CenterCrop`). */
export function cropCenter(image: PixelImage, size: number): PixelImage {
  return crop(image, centerBox(image, size));
}

/** The rectangle of {@link cropCenter}. */
export function centerBox({ height, width }: Size, size: number): CropBox {
  if (height < size || width < size)
    throw new DmaeError(
      "argument",
      `centerCrop: size ${size} is larger than the image, ${height}x${width}; resize first`,
      { height, width },
    );
  const top = roundHalfEven((height - size) / 2);
  const left = roundHalfEven((width - size) / 2);
  return { top, left, height: size, width: size };
}

/**
 * A random `size` x `size` window of the image with `padding` black pixels on each side (torchvision `RandomCrop`).
 *
 * @param uniform draws in [0, 1): top, then left
 */
export function cropPadded(
  { data, height, width, channels }: PixelImage,
  { size, padding }: { readonly size: number; readonly padding: number },
  uniform: () => number,
): PixelImage {
  const top = Math.floor(uniform() * (height + 2 * padding - size + 1)) - padding;
  const left = Math.floor(uniform() * (width + 2 * padding - size + 1)) - padding;
  const out = new Uint8Array(size * size * channels);
  const first = Math.max(0, -left);
  const end = Math.min(size, width - left);
  for (let row = Math.max(0, -top); row < Math.min(size, height - top) && first < end; row++) {
    const source = (top + row) * width + left;
    const kept = data.subarray((source + first) * channels, (source + end) * channels);
    out.set(kept, (row * size + first) * channels);
  }
  return { data: out, height: size, width: size, channels };
}

/**
 * The rectangle of a random resized crop: up to ten tries of an area uniform in `scale` times the image's and
 * an aspect ratio log-uniform in `ratio`; then the largest centred one (torchvision `RandomResizedCrop`).
 *
 * @param uniform draws in [0, 1): area, ratio, and, once the rectangle fits, top and left
 */
export function drawCropBox(
  height: number,
  width: number,
  scale: readonly [number, number],
  ratio: readonly [number, number],
  uniform: () => number,
): CropBox {
  const between = (low: number, high: number) => low + (high - low) * uniform();
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = height * width * between(...scale);
    const aspect = Math.exp(between(Math.log(ratio[0]), Math.log(ratio[1])));
    const columns = roundHalfEven(Math.sqrt(area * aspect));
    const rows = roundHalfEven(Math.sqrt(area / aspect));
    if (columns > 0 && columns <= width && rows > 0 && rows <= height) {
      const top = Math.floor(uniform() * (height - rows + 1));
      const left = Math.floor(uniform() * (width - columns + 1));
      return { top, left, height: rows, width: columns };
    }
  }
  return centeredBox(height, width, ratio);
}

function centeredBox(height: number, width: number, ratio: readonly [number, number]): CropBox {
  const aspect = width / height;
  const columns = aspect > ratio[1] ? atLeastOne(height * ratio[1]) : width;
  const rows = aspect < ratio[0] ? atLeastOne(width / ratio[0]) : height;
  const top = Math.floor((height - rows) / 2);
  const left = Math.floor((width - columns) / 2);
  return { top, left, height: rows, width: columns };
}

/** torchvision rounds to nothing here, and fails, where an image is one or two pixels high. */
const atLeastOne = (pixels: number) => Math.max(1, roundHalfEven(pixels));
