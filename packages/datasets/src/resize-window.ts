import { type CropBox, centerBox, crop, shorterSide } from "./crop.ts";
import type { PixelImage } from "./pixels.ts";
import { resizeInJavaScript } from "./resize-javascript.ts";
import { computeTaps, type Taps } from "./resize-taps.ts";
import { resizeInWasm } from "./resize-wasm.ts";

/**
 * `cropCenter(resizeShorterSide(image, size), side)`, to the bit, computing only the pixels that the crop
 * keeps: an elongated image takes no more memory than another.
 */
export function resizeAndCropCenter(image: PixelImage, size: number, side: number): PixelImage {
  const resized = shorterSide(image, size);
  const box = centerBox(resized, side);
  const isSame = resized.height === image.height && resized.width === image.width;
  return isSame ? crop(image, box) : resizeWindow(image, resized.height, resized.width, box);
}

/** The pixels inside `box` of the image resized to `height` x `width`. */
function resizeWindow(image: PixelImage, height: number, width: number, box: CropBox): PixelImage {
  const across = computeTaps(image.width, width, box.left, box.width);
  const down = computeTaps(image.height, height, box.top, box.height);
  const [left, right] = extent(across);
  const [top, bottom] = extent(down);
  const isWhole = right - left === image.width && bottom - top === image.height;
  const source = isWhole
    ? image
    : crop(image, { top, left, height: bottom - top, width: right - left });
  const taps = [shift(across, left), shift(down, top)] as const;
  return (
    resizeInWasm(source, box.height, box.width, ...taps) ??
    resizeInJavaScript(source, box.height, box.width, ...taps)
  );
}

/** The first input and one past the last; starts and ends never fall. */
function extent({ starts, counts }: Taps): [number, number] {
  return [starts[0]!, starts.at(-1)! + counts.at(-1)!];
}

/** The same taps of inputs that begin at `first`. */
function shift(taps: Taps, first: number): Taps {
  return { ...taps, starts: taps.starts.map((start) => start - first) };
}
