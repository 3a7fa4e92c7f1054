import { DmaeError } from "@dmae/core";
import type { PixelImage } from "./pixels.ts";

/**
 * Resizes as Pillow's `Image.resize(…, BICUBIC)` does, to the bit: Keys' kernel with a = -0.5, widened by
 * the reduction factor (so that it also filters), coefficients in 22-bit fixed point, first along rows,
 * then along columns, with rounding to bytes in between.
 *
 * The bicubic resize of *tensors* in the models (a = -0.75, no filter) is another one: `resizeBicubic` of
 * `@dmae/nn`.
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
  return resizeRows(resizeColumns(image, width), height);
}

/** Where the taps of each output position begin, how many they are, and their weights. */
interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** `[outputs, size]` weights times 2^22. */
  readonly weights: Int32Array;
  /** Room for weights of one output. */
  readonly size: number;
}

const precisionBits = 22;
const half = 1 << (precisionBits - 1);

function cubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function computeTaps(inputs: number, outputs: number): Taps {
  const scale = inputs / outputs;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const size = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(outputs);
  const counts = new Int32Array(outputs);
  const weights = new Int32Array(outputs * size);
  const exact = new Float64Array(size);
  for (let output = 0; output < outputs; output++) {
    const center = (output + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(inputs, Math.trunc(center + support + 0.5)) - start;
    let sum = 0;
    for (let tap = 0; tap < count; tap++)
      sum += exact[tap] = cubic((tap + start - center + 0.5) * (1 / stretch));
    for (let tap = 0; tap < count; tap++) {
      const fixed = (exact[tap]! / sum) * (1 << precisionBits);
      weights[output * size + tap] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    starts[output] = start;
    counts[output] = count;
  }
  return { starts, counts, weights, size };
}

function resizeColumns({ data, height, width, channels }: PixelImage, columns: number): PixelImage {
  if (columns === width) return { data, height, width, channels };
  const { starts, counts, weights, size } = computeTaps(width, columns);
  const out = new Uint8ClampedArray(height * columns * channels);
  for (let row = 0; row < height; row++) {
    const line = row * width * channels;
    let target = row * columns * channels;
    for (let column = 0; column < columns; column++) {
      const first = line + starts[column]! * channels;
      const count = counts[column]!;
      for (let channel = 0; channel < channels; channel++) {
        let sum = half;
        for (let tap = 0, source = first + channel; tap < count; tap++, source += channels)
          sum = (sum + Math.imul(data[source]!, weights[column * size + tap]!)) | 0;
        out[target++] = sum >> precisionBits;
      }
    }
  }
  return { data: new Uint8Array(out.buffer), height, width: columns, channels };
}

function resizeRows({ data, height, width, channels }: PixelImage, rows: number): PixelImage {
  if (rows === height) return { data, height, width, channels };
  const { starts, counts, weights, size } = computeTaps(height, rows);
  const line = width * channels;
  const out = new Uint8ClampedArray(rows * line);
  const sums = new Int32Array(line);
  for (let row = 0; row < rows; row++) {
    sums.fill(half);
    for (let tap = 0; tap < counts[row]!; tap++) {
      const weight = weights[row * size + tap]!;
      const source = (starts[row]! + tap) * line;
      for (let i = 0; i < line; i++) sums[i] = sums[i]! + Math.imul(data[source + i]!, weight);
    }
    for (let i = 0; i < line; i++) out[row * line + i] = sums[i]! >> precisionBits;
  }
  return { data: new Uint8Array(out.buffer), height: rows, width, channels };
}
