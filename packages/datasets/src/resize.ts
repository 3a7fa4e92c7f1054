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

function resizeColumns(image: PixelImage, columns: number): PixelImage {
  const { data, height, width, channels } = image;
  if (columns === width) return image;
  const taps = computeTaps(width, columns);
  const out = new Uint8ClampedArray(height * columns * channels);
  const resizeLine = channels === 3 ? resizeColourLine : resizeLineOf(channels);
  for (let row = 0; row < height; row++)
    resizeLine(data, row * width * channels, taps, out, row * columns * channels, columns);
  return { data: new Uint8Array(out.buffer), height, width: columns, channels };
}

/** One line of pixels: from `data[source …]` to `out[target …]`. */
type ResizeLine = (
  data: Uint8Array,
  source: number,
  taps: Taps,
  out: Uint8ClampedArray,
  target: number,
  columns: number,
) => void;

const resizeLineOf =
  (channels: number): ResizeLine =>
  (data, source, { starts, counts, weights, size }, out, target, columns) => {
    for (let column = 0, to = target; column < columns; column++)
      for (let channel = 0; channel < channels; channel++) {
        let sum = half;
        let from = source + starts[column]! * channels + channel;
        const first = column * size;
        for (let tap = first; tap < first + counts[column]!; tap++, from += channels)
          sum = (sum + Math.imul(data[from]!, weights[tap]!)) | 0;
        out[to++] = sum >> precisionBits;
      }
  };

/** The same for three channels, each weight loaded once: twice as fast. */
const resizeColourLine: ResizeLine = (data, source, taps, out, target, columns) => {
  const { starts, counts, weights, size } = taps;
  for (let column = 0, to = target; column < columns; column++, to += 3) {
    let red = half;
    let green = half;
    let blue = half;
    let from = source + starts[column]! * 3;
    const first = column * size;
    const end = first + counts[column]!;
    for (let tap = first; tap < end; tap++, from += 3) {
      const weight = weights[tap]!;
      red = (red + Math.imul(data[from]!, weight)) | 0;
      green = (green + Math.imul(data[from + 1]!, weight)) | 0;
      blue = (blue + Math.imul(data[from + 2]!, weight)) | 0;
    }
    out[to] = red >> precisionBits;
    out[to + 1] = green >> precisionBits;
    out[to + 2] = blue >> precisionBits;
  }
};

function resizeRows(image: PixelImage, rows: number): PixelImage {
  const { data, height, width, channels } = image;
  if (rows === height) return image;
  const { starts, counts, weights, size } = computeTaps(height, rows);
  const line = width * channels;
  const out = new Uint8ClampedArray(rows * line);
  for (let row = 0; row < rows; row++) {
    const first = row * size;
    const end = first + counts[row]!;
    const source = starts[row]! * line;
    for (let i = 0; i < line; i++) {
      let sum = half;
      for (let tap = first, from = source + i; tap < end; tap++, from += line)
        sum = (sum + Math.imul(data[from]!, weights[tap]!)) | 0;
      out[row * line + i] = sum >> precisionBits;
    }
  }
  return { data: new Uint8Array(out.buffer), height: rows, width, channels };
}
