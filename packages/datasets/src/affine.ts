import type { PixelImage } from "./pixels.ts";

/** `x' = a x + b y + c`, `y' = d x + e y + f`: from a position in the result to one in the source. */
export type AffineMatrix = readonly [number, number, number, number, number, number];

/**
 * The image under an affine map, as PIL's `Image.transform(AFFINE, resample=BICUBIC)`: the cubic through
 * four neighbours whose slope is their difference, edges repeated, values cut to bytes; pixels whose source
 * lies outside get `fill`.
 */
export function affine(
  image: PixelImage,
  matrix: AffineMatrix,
  fill: readonly number[],
): PixelImage {
  const { height, width, channels } = image;
  const [a, b, c, d, e, f] = matrix;
  const out = new Uint8Array(image.data.length);
  for (let row = 0, target = 0; row < height; row++)
    for (let column = 0; column < width; column++, target += channels) {
      const x = a * (column + 0.5) + b * (row + 0.5) + c;
      const y = d * (column + 0.5) + e * (row + 0.5) + f;
      if (x < 0 || x >= width || y < 0 || y >= height)
        for (let channel = 0; channel < channels; channel++) out[target + channel] = fill[channel]!;
      else sample(image, x - 0.5, y - 0.5, out, target);
    }
  return { ...image, data: out };
}

/** Writes the interpolated pixel at column `x`, row `y` to `out[target …]`. */
function sample(image: PixelImage, x: number, y: number, out: Uint8Array, target: number): void {
  const { data, height, width, channels } = image;
  const left = Math.floor(x);
  const above = Math.floor(y);
  const dx = x - left;
  const dy = y - above;
  const c0 = clamp(left - 1, width) * channels;
  const c1 = clamp(left, width) * channels;
  const c2 = clamp(left + 1, width) * channels;
  const c3 = clamp(left + 2, width) * channels;
  const line = width * channels;
  const r0 = clamp(above - 1, height) * line;
  const r1 = clamp(above, height) * line;
  const r2 = clamp(above + 1, height) * line;
  const r3 = clamp(above + 2, height) * line;
  const along = (at: number) =>
    cubic(data[at + c0]!, data[at + c1]!, data[at + c2]!, data[at + c3]!, dx);
  for (let i = 0; i < channels; i++) {
    const value = cubic(along(r0 + i), along(r1 + i), along(r2 + i), along(r3 + i), dy);
    out[target + i] = value <= 0 ? 0 : Math.min(255, value);
  }
}

const clamp = (position: number, length: number) =>
  position < 0 ? 0 : position < length ? position : length - 1;

function cubic(v1: number, v2: number, v3: number, v4: number, t: number): number {
  const p2 = v3 - v1;
  const p3 = 2 * (v1 - v2) + v3 - v4;
  const p4 = v2 - v1 + v4 - v3;
  return v2 + t * (p2 + t * (p3 + t * p4));
}

/** Rotates about the centre, counter-clockwise for positive degrees (PIL `Image.rotate`). */
export function rotate(image: PixelImage, degrees: number, fill: readonly number[]): PixelImage {
  const turn = ((degrees % 360) + 360) % 360;
  if (turn === 0) return image;
  const angle = (-turn * Math.PI) / 180;
  const cosine = round15(Math.cos(angle));
  const sine = round15(Math.sin(angle));
  const x = image.width / 2;
  const y = image.height / 2;
  const matrix: AffineMatrix = [
    cosine,
    sine,
    cosine * -x + sine * -y + x,
    -sine,
    cosine,
    -sine * -x + cosine * -y + y,
  ];
  return affine(image, matrix, fill);
}

/** PIL rounds the matrix of a rotation to 15 decimal places. */
const round15 = (value: number) => Number(value.toFixed(15));

/** Shears along rows by `factor` columns a row. */
export const shearX = (image: PixelImage, factor: number, fill: readonly number[]): PixelImage =>
  affine(image, [1, factor, 0, 0, 1, 0], fill);

/** Shears along columns by `factor` rows a column. */
export const shearY = (image: PixelImage, factor: number, fill: readonly number[]): PixelImage =>
  affine(image, [1, 0, 0, factor, 1, 0], fill);

/** Moves by `fraction` of the width; positive moves the content left. */
export const translateX = (
  image: PixelImage,
  fraction: number,
  fill: readonly number[],
): PixelImage => affine(image, [1, 0, fraction * image.width, 0, 1, 0], fill);

/** Moves by `fraction` of the height; positive moves the content up. */
export const translateY = (
  image: PixelImage,
  fraction: number,
  fill: readonly number[],
): PixelImage => affine(image, [1, 0, 0, 0, 1, fraction * image.height], fill);
