import { type CropBox, roundHalfEven } from "./crop.ts";
import type { Draws } from "./rand-augment.ts";

/** Area of the erased rectangle as a fraction of the image. */
const area = [0.02, 1 / 3] as const;
/** Height over width. */
const logAspect = [Math.log(0.3), Math.log(1 / 0.3)] as const;

/**
 * Draws the rectangle that random erasing fills, or nothing: a coin, then up to ten tries of area, aspect
 * ratio and, once the rectangle is smaller than the image, top and left (timm `RandomErasing`).
 */
export function drawErasedBox(
  height: number,
  width: number,
  probability: number,
  uniform: () => number,
): CropBox | undefined {
  if (uniform() > probability) return undefined;
  const between = ([low, high]: readonly [number, number]) => low + (high - low) * uniform();
  for (let attempt = 0; attempt < 10; attempt++) {
    const target = between(area) * height * width;
    const aspect = Math.exp(between(logAspect));
    const rows = roundHalfEven(Math.sqrt(target * aspect));
    const columns = roundHalfEven(Math.sqrt(target / aspect));
    if (columns < width && rows < height) {
      const top = Math.floor(uniform() * (height - rows + 1));
      const left = Math.floor(uniform() * (width - columns + 1));
      return { top, left, height: rows, width: columns };
    }
  }
  return undefined;
}

/**
 * Fills `box` with noise: `mean + std * normal` per value, so that it is standard normal once the model has
 * normalised the image.
 *
 * @param image `[H, W, C]` float32, changed in place
 */
export function eraseBox(
  image: Float32Array,
  width: number,
  box: CropBox,
  mean: readonly number[],
  std: readonly number[],
  normal: Draws["normal"],
): void {
  const channels = mean.length;
  for (let row = box.top; row < box.top + box.height; row++)
    for (let column = box.left; column < box.left + box.width; column++)
      for (let channel = 0; channel < channels; channel++)
        image[(row * width + column) * channels + channel] =
          mean[channel]! + std[channel]! * normal();
}
