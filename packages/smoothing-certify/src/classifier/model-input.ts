import { DmaeError } from "@dmae/core";
import type { CheckedPreprocessing, Layout } from "./preprocessing.ts";
import { resizeBatch } from "./resize-batch.ts";

/** Dimensions of a model's input; open ones are text, null or below 1. */
export type ExpectedShape = readonly (number | string | null)[] | undefined;

/** A batch as a model takes it. */
export interface ModelInput {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** Makes the input of a model from a batch of images `[n, H, W, C]`; asks `take` for its memory. */
export type WriteInput = (
  batch: Float32Array,
  shape: readonly number[],
  take: (length: number) => Float32Array,
) => ModelInput;

/** Applies a preprocessing; `fallback` is the layout where the model does not tell. */
export function modelInput(
  caller: string,
  expected: ExpectedShape,
  preprocessing: CheckedPreprocessing,
  fallback: Layout,
): WriteInput {
  const { size: resized, layout } = preprocessing;
  return (batch, shape, take) => {
    const size = shape.reduce((product, length) => product * length, 1);
    if (batch.length !== size)
      throw new DmaeError(
        "shape",
        `${caller}: shape [${shape}] holds ${size} numbers, got ${batch.length}`,
      );
    const isImages = shape.length === 4;
    if (!layout && expected?.length === 4 && !isImages)
      throw new DmaeError(
        "shape",
        `${caller}: the model takes images, got ${shape.length === 2 ? `${shape[1]} numbers` : `the shape [${shape.slice(1)}]`}; say their shape [H, W, C], e.g. shape: [28, 28, 1]`,
      );
    if (layout === "as-is" || (!isImages && !layout))
      return writeAsIs(caller, batch, shape, preprocessing, take);
    if (!isImages)
      throw new DmaeError(
        "shape",
        `${caller}: layout ${layout} needs images of shape [H, W, C], got [${shape.slice(1)}]`,
      );
    const [n = 0, height = 0, width = 0, given = 0] = shape;
    const [rows, columns] = resized ?? [height, width];
    const order = layout ?? guessLayout(expected, [n, rows, columns, given], fallback);
    const wanted = channelsOf(expected, order);
    const mix = mixOf(caller, preprocessing, given, wanted);
    const dims = order === "NCHW" ? [n, mix.length, rows, columns] : [n, rows, columns, mix.length];
    checkDims(caller, expected, dims, order, [height, width, given]);
    const pixels = resized ? resizeBatch(batch, shape, resized, preprocessing.antialias) : batch;
    const data = take(n * rows * columns * mix.length);
    writeChannels(pixels, [n, rows * columns, given], mix, data, order === "NCHW", preprocessing);
    return { data, dims };
  };
}

/** Inputs that are no images, or lie in the model's order already: axis 1 has the channels. */
function writeAsIs(
  caller: string,
  batch: Float32Array,
  shape: readonly number[],
  preprocessing: CheckedPreprocessing,
  take: (length: number) => Float32Array,
): ModelInput {
  const { channels, size, mean, std, scale } = preprocessing;
  if (channels || size)
    throw new DmaeError(
      "shape",
      `${caller}: channels and size need images of shape [H, W, C] in that order, got [${shape.slice(1)}]${preprocessing.layout ? " with layout as-is" : ""}`,
    );
  const axis = shape[1] ?? 1;
  checkLength(caller, preprocessing, axis);
  const data = take(batch.length);
  const inner = batch.length / (shape[0] ?? 1) / axis;
  for (let i = 0; i < batch.length; )
    for (let c = 0; c < axis; c++) {
      const [shift, divisor] = [mean[c] ?? mean[0]!, std[c] ?? std[0]!];
      for (const end = i + inner; i < end; i++) data[i] = (batch[i]! * scale - shift) / divisor;
    }
  return { data, dims: shape };
}

/** Weights of the given channels in each channel of the model. */
type Mix = readonly (readonly number[])[];

/** Luminance of red, green and blue (ITU-R BT.601). */
const luminance = [0.299, 0.587, 0.114];

function mixOf(
  caller: string,
  preprocessing: CheckedPreprocessing,
  given: number,
  wanted: number | undefined,
): Mix {
  const { channels, mean, std } = preprocessing;
  const pick = (from: readonly number[]): number[][] =>
    from.map((source) => Array.from({ length: given }, (_, c) => (c === source ? 1 : 0)));
  const isAlpha = given === 4 && (wanted ?? Math.max(mean.length, std.length)) === 3;
  let mix = pick([...Array(isAlpha ? 3 : given).keys()]);
  if (channels) {
    if (![1, 3, 4].includes(given))
      throw new DmaeError(
        "shape",
        `${caller}: channels ${channels} needs images of 1, 3 or 4 channels, got ${given}`,
      );
    const isGray = given === 1;
    if (channels === "gray") mix = isGray ? pick([0]) : [[...luminance, 0].slice(0, given)];
    else if (isGray) mix = pick([0, 0, 0]);
    else mix = pick(channels === "rgb" ? [0, 1, 2] : [2, 1, 0]);
  }
  checkLength(caller, preprocessing, mix.length);
  return mix;
}

function checkLength(caller: string, { mean, std }: CheckedPreprocessing, channels: number): void {
  const length = Math.max(mean.length, std.length);
  if (length === 1 || length === channels) return;
  throw new DmaeError(
    "shape",
    `${caller}: mean and std have ${length} channels, the images have ${channels}`,
  );
}

/** Writes the mixed, scaled and normalized channels of `n` images. */
function writeChannels(
  pixels: Float32Array,
  [n, area, given]: readonly [number, number, number],
  mix: Mix,
  out: Float32Array,
  isFirst: boolean,
  { scale, mean, std }: CheckedPreprocessing,
): void {
  const depth = mix.length;
  const isPlain = scale === 1 && isIdentity(mix, given) && isZeroOne(mean, std);
  if (isPlain && (!isFirst || depth === 1)) {
    out.set(pixels); // one channel is in both orders
    return;
  }
  const stride = isFirst ? 1 : depth;
  for (let image = 0; image < n; image++)
    for (let c = 0; c < depth; c++) {
      const weights = mix[c]!;
      const single = weights.indexOf(1);
      const [shift, divisor] = [mean[c] ?? mean[0]!, std[c] ?? std[0]!];
      const start = image * area * given;
      let at = isFirst ? (image * depth + c) * area : image * area * depth + c;
      for (let from = start; from < start + area * given; from += given, at += stride) {
        const value = single < 0 ? weighted(pixels, from, weights) : pixels[from + single]!;
        out[at] = (value * scale - shift) / divisor;
      }
    }
}

function weighted(pixels: Float32Array, from: number, weights: readonly number[]): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += weights[k]! * pixels[from + k]!;
  return sum;
}

const isIdentity = (mix: Mix, given: number) =>
  mix.length === given && mix.every((weights, c) => weights[c] === 1);
const isZeroOne = (mean: readonly number[], std: readonly number[]) =>
  mean.every((value) => value === 0) && std.every((value) => value === 1);

const isFixed = (length: unknown): length is number => typeof length === "number" && length >= 1;

function channelsOf(expected: ExpectedShape, order: Layout): number | undefined {
  const length = expected?.length === 4 ? expected[order === "NCHW" ? 1 : 3] : undefined;
  return isFixed(length) ? length : undefined;
}

/** The shape `[H, W, C]` of the images that a model takes, where its input says it and nothing resizes them. */
export function imageShapeOf(
  expected: ExpectedShape,
  { layout, size, channels }: CheckedPreprocessing,
  fallback: Layout,
): { readonly imageShape?: readonly number[] } {
  const [, a, b, c] = expected ?? [];
  if (expected?.length !== 4 || !isFixed(a) || !isFixed(b) || !isFixed(c)) return {};
  if (layout === "as-is" || size || channels) return {};
  const isCount = (length: number) => length === 1 || length === 3;
  const guess = isCount(a) === isCount(c) ? fallback : isCount(a) ? "NCHW" : "NHWC";
  return { imageShape: (layout ?? guess) === "NCHW" ? [b, c, a] : [a, b, c] };
}

/** The order that the model's dimensions allow; of both, the usual one of its kind. */
function guessLayout(
  expected: ExpectedShape,
  [, rows, columns, given]: readonly [number, number, number, number],
  fallback: Layout,
): Layout {
  if (expected?.length !== 4) return fallback;
  const fits = (dims: readonly (readonly number[])[]) =>
    expected.every((length, i) => i === 0 || !isFixed(length) || dims[i]!.includes(length));
  const counts = [given, 1, 3];
  const isFirst = fits([[], counts, [rows], [columns]]);
  const isLast = fits([[], [rows], [columns], counts]);
  if (isFirst !== isLast) return isFirst ? "NCHW" : "NHWC";
  // neither fits, so the sizes differ: the axis of one or three has the channels
  const isCount = (length: unknown) => length === 1 || length === 3;
  if (!isFirst && isCount(expected[1]) !== isCount(expected[3]))
    return isCount(expected[1]) ? "NCHW" : "NHWC";
  return fallback;
}

/** Says what to do about images that the model cannot take. */
function checkDims(
  caller: string,
  expected: ExpectedShape,
  dims: readonly number[],
  order: Layout,
  image: readonly number[],
): void {
  if (expected?.length !== 4) return;
  const wrong = expected.findIndex((length, i) => i > 0 && isFixed(length) && length !== dims[i]);
  if (wrong < 0) return;
  const isChannel = wrong === (order === "NCHW" ? 1 : 3);
  const [rows, columns] = order === "NCHW" ? expected.slice(2) : expected.slice(1);
  const channels = order === "NCHW" ? expected[1] : expected[3];
  if ([channels, rows, columns].every((length, i) => length === image[i]))
    throw new DmaeError(
      "shape",
      `${caller}: the model takes images [H, W, C] of [${rows},${columns},${channels}], got [${image}] with the channels first; move them to the end`,
    );
  const side = rows === columns ? rows : `[${rows}, ${columns}]`;
  throw new DmaeError(
    "shape",
    isChannel
      ? `${caller}: the model takes ${expected[wrong]} channels (${order}), the images [${image}] give ${dims[wrong]}; set channels ("rgb", "bgr" or "gray"), or set layout`
      : `${caller}: the model takes images of ${rows}x${columns} (${order}), got ${image[0]}x${image[1]}; set size: ${side} to resize after the noise, or resize the images before`,
  );
}
