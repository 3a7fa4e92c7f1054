import { DmaeError } from "@dmae/core";

/** Order of the axes that a model wants: channels first or last, or whatever the input has. */
export type Layout = "NCHW" | "NHWC" | "as-is";

/** Channel means and deviations that a model wants taken out of its input. */
export interface Normalize {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Writes a batch to `out`, which is of its length, as a model takes it; returns the model's dimensions. */
type WriteInput = (
  batch: Float32Array,
  shape: readonly number[],
  out: Float32Array,
) => readonly number[];

/** Brings batches of `[H, W, C]` images into the model's order of axes, normalized. */
export function onnxInput(
  expected: readonly (number | string)[] | undefined,
  { layout, normalize }: { layout?: Layout | undefined; normalize?: Normalize | undefined },
): WriteInput {
  const { mean, std } = checkNormalize(normalize);
  return (batch, shape, out) => {
    const order = layout ?? guessLayout(expected, shape);
    if (shape.length !== 4 && !(order === "as-is"))
      throw new DmaeError(
        "shape",
        `fromOnnx: layout ${order} needs images of shape [H, W, C], got [${shape.slice(1)}]`,
      );
    const channels = order === "as-is" ? shape[1]! : shape.at(-1)!;
    if (mean.length > 1 && mean.length !== channels)
      throw new DmaeError(
        "shape",
        `fromOnnx: normalize has ${mean.length} channels, the images have ${channels}`,
      );
    const first = order === "NCHW";
    const inner = order === "as-is" ? batch.length / shape[0]! / channels : 1;
    // one channel is in both orders
    if (mean.length === 0 && (!first || channels === 1)) out.set(batch);
    else if (first) toChannelsFirst(batch, shape, out, mean, std);
    else scale(batch, out, channels, inner, mean, std);
    const [n = 1, height = 1, width = 1] = shape;
    return first ? [n, channels, height, width] : shape;
  };
}

function checkNormalize(normalize: Normalize | undefined): Normalize {
  const { mean = [], std = [] } = normalize ?? {};
  const finite = [...mean, ...std].every(Number.isFinite) && std.every((value) => value > 0);
  if (finite && mean.length === std.length) return { mean, std };
  throw new DmaeError(
    "argument",
    "fromOnnx: normalize must have a mean and a std above 0 for each channel",
  );
}

/** Where the model says how many channels come when; else PyTorch's order for images. */
function guessLayout(
  expected: readonly (number | string)[] | undefined,
  shape: readonly number[],
): Layout {
  if (shape.length !== 4) return "as-is";
  if (expected?.length !== 4) return "NCHW";
  const fits = (dims: readonly (number | undefined)[]) =>
    expected.every((d, i) => i === 0 || typeof d !== "number" || d < 1 || d === dims[i]);
  const [n, height, width, depth] = shape;
  return fits([n, height, width, depth]) && !fits([n, depth, height, width]) ? "NHWC" : "NCHW";
}

function toChannelsFirst(
  batch: Float32Array,
  [n = 0, height = 0, width = 0, depth = 0]: readonly number[],
  out: Float32Array,
  mean: readonly number[],
  std: readonly number[],
): void {
  const area = height * width;
  for (let image = 0; image < n; image++)
    for (let c = 0; c < depth; c++) {
      const from = image * area * depth + c;
      const to = (image * depth + c) * area;
      const shift = mean[c] ?? mean[0] ?? 0;
      const divisor = std[c] ?? std[0] ?? 1;
      for (let i = 0; i < area; i++) out[to + i] = (batch[from + i * depth]! - shift) / divisor;
    }
}

function scale(
  batch: Float32Array,
  out: Float32Array,
  channels: number,
  inner: number,
  mean: readonly number[],
  std: readonly number[],
): void {
  for (let i = 0; i < batch.length; )
    for (let c = 0; c < channels; c++) {
      const shift = mean[c] ?? mean[0] ?? 0;
      const divisor = std[c] ?? std[0] ?? 1;
      for (const end = i + inner; i < end; i++) out[i] = (batch[i]! - shift) / divisor;
    }
}
