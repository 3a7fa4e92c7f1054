import { DmaeError } from "@dmae/core";
import type { OptionNames } from "@dmae/core/checks";
import { checkOneOf, show } from "../checks.ts";

/** Order of the axes that a model takes; `"as-is"` hands the numbers over in the order of the images. */
export type Layout = "NCHW" | "NHWC" | "as-is";

/**
 * How noisy pixels become the input of a model. The steps run in this order, after the noise was added:
 *
 * 1. resize to `size`
 * 2. bring the channels into the order of `channels`
 * 3. multiply by `scale`
 * 4. subtract `mean`, divide by `std`
 * 5. bring the axes into the order of `layout`
 *
 * Noise is added to the pixels as you give them, in [0, 1] at their own resolution. So sigma and the radius
 * are in those units, whatever the model wants.
 *
 * @example
 * { scale: 255, channels: "bgr", mean: [103.94, 116.78, 123.68] } // many Caffe and TensorFlow models
 * { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], size: 224 } // torchvision
 */
export interface Preprocessing {
  /**
   * Channels that the model wants. `"rgb"` repeats grey images and drops alpha, `"bgr"` reverses the order
   * too, `"gray"` takes 0.299 R + 0.587 G + 0.114 B. Default: as they are, alpha dropped for models of three channels.
   */
  readonly channels?: "rgb" | "bgr" | "gray" | undefined;
  /** Factor, e.g. 255 for a model that wants bytes; default 1, for uint8 inputs 255. */
  readonly scale?: number | undefined;
  /** Mean of each channel, in the model's order, after `scale`; one number serves all. Default 0. */
  readonly mean?: number | ArrayLike<number> | undefined;
  /** Deviation of each channel, in the model's order, after `scale`; one number serves all. Default 1. */
  readonly std?: number | ArrayLike<number> | undefined;
  /** Order of the axes. Default: read from the model's input; NCHW for ONNX, NHWC for TensorFlow.js where it does not say. */
  readonly layout?: Layout | undefined;
  /**
   * Side of the model's images, or `[height, width]`: noisy copies are resized to it, bicubic as PyTorch's
   * `interpolate`. Default: not resized.
   */
  readonly size?: number | readonly [height: number, width: number] | undefined;
  /** Whether `size` resizes as `interpolate` with `antialias=True`, and torchvision by default; default false. */
  readonly antialias?: boolean | undefined;
  /** Name of the output with the logits; needed where there are several. */
  readonly output?: string | undefined;
  /**
   * What the single output of a model of two classes is: the `"probability"` of class 1, or its `"logit"`. Default:
   * the probability where the model ends in a sigmoid.
   */
  readonly binary?: "probability" | "logit" | undefined;
}

/** Names of {@link Preprocessing}. */
export const preprocessingNames = {
  channels: true,
  scale: true,
  mean: true,
  std: true,
  layout: true,
  size: true,
  antialias: "boolean",
  output: true,
  binary: true,
} satisfies OptionNames<Preprocessing>;

/** A {@link Preprocessing} whose values were checked, with defaults filled in. */
export interface CheckedPreprocessing {
  readonly channels?: "rgb" | "bgr" | "gray" | undefined;
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly layout?: Layout | undefined;
  readonly size?: readonly [height: number, width: number] | undefined;
  readonly antialias?: boolean | undefined;
}

/** Throws for values that no model can want. */
export function checkPreprocessing(
  caller: string,
  { channels, scale, mean = 0, std = 1, layout, size, antialias, binary }: Preprocessing,
  isByte = false,
): CheckedPreprocessing {
  if (channels !== undefined) checkOneOf(caller, "channels", channels, ["rgb", "bgr", "gray"]);
  if (layout !== undefined) checkOneOf(caller, "layout", layout, ["NCHW", "NHWC", "as-is"]);
  if (binary !== undefined) checkOneOf(caller, "binary", binary, ["probability", "logit"]);
  if (scale !== undefined) checkNumbers(caller, "scale", [scale], true);
  const [means, stds] = [listOf(mean), listOf(std)];
  checkNumbers(caller, "mean", means);
  checkNumbers(caller, "std", stds, true);
  if (means.length > 1 && stds.length > 1 && means.length !== stds.length)
    throw new DmaeError(
      "argument",
      `${caller}: mean and std must have a number for each channel, got ${means.length} and ${stds.length}`,
    );
  const sides = size === undefined ? undefined : typeof size === "number" ? [size, size] : size;
  if (sides !== undefined && !(Array.isArray(sides) && sides.length === 2 && sides.every(isSide)))
    throw new DmaeError(
      "argument",
      `${caller}: size must be one or two integers of 1 to 16384, got ${Array.isArray(size) ? `[${size}]` : show(size)}`,
    );
  if (antialias && sides === undefined)
    throw new DmaeError("argument", `${caller}: antialias says how size resizes; give size too`);
  return {
    channels,
    scale: scale ?? (isByte ? 255 : 1),
    mean: means,
    std: stds,
    layout,
    size: sides as [number, number] | undefined,
    antialias: antialias || undefined, // false and nothing have one fingerprint
  };
}

const isSide = (side: unknown) =>
  Number.isInteger(side) && Number(side) >= 1 && Number(side) <= 16384;

/** A number for all channels, or an array, typed ones included. */
function listOf(value: number | ArrayLike<number>): readonly number[] {
  if (typeof value === "number") return [value];
  return ArrayBuffer.isView(value) ? Array.from(value) : (value as readonly number[]);
}

function checkNumbers(caller: string, name: string, values: unknown, positive = false): void {
  const isGood = (value: unknown) => Number.isFinite(value) && (!positive || Number(value) > 0);
  if (Array.isArray(values) && values.length > 0 && values.every(isGood)) return;
  const got = !Array.isArray(values)
    ? show(values)
    : values.length === 1
      ? show(values[0])
      : `[${values.map(show).join(", ")}]`;
  throw new DmaeError(
    "argument",
    `${caller}: ${name} must be ${positive ? "above 0 and " : ""}finite, a number or one for each channel, got ${got}`,
  );
}
