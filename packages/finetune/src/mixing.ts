import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import * as tf from "@tensorflow/tfjs-core";
import { randomBeta } from "d3-random";

/** How a batch is mixed with itself in reverse order. */
export type Mixing =
  | { readonly kind: "none" }
  | {
      /** `x * lambda + reversed * (1 - lambda)`. */
      readonly kind: "mixup";
      /** Share of the batch itself. */
      readonly lambda: number;
    }
  | {
      /** The box comes from the reversed batch; rows `top … bottom - 1`, columns `left … right - 1`. */
      readonly kind: "cutmix";
      readonly top: number;
      readonly bottom: number;
      readonly left: number;
      readonly right: number;
      /** Share of the batch itself: 1 - area of the box. */
      readonly lambda: number;
    };

/** Options of {@link drawMixing}. */
export interface MixingOptions {
  /** Mixup's Beta parameter; 0 for no mixup. */
  readonly mixup: number;
  /** CutMix's Beta parameter; 0 for no CutMix. */
  readonly cutmix: number;
  /** Probability that a batch is mixed. */
  readonly mixProbability: number;
  /** Probability of CutMix where both are on. */
  readonly switchProbability: number;
  /** Side of the images when they are mixed. */
  readonly imageSize: number;
}

/** Draws how one batch is mixed, as timm's `Mixup` in mode "batch". `next` gives uniforms in (0, 1). */
export function drawMixing(next: () => number, options: MixingOptions): Mixing {
  checkOptions("drawMixing", options, {
    mixup: true,
    cutmix: true,
    mixProbability: true,
    switchProbability: true,
    imageSize: true,
  });
  const { mixup, cutmix, mixProbability, switchProbability, imageSize } = options;
  if (!(mixup > 0 || cutmix > 0) || next() >= mixProbability) return { kind: "none" };
  const useCutmix = mixup > 0 && cutmix > 0 ? next() < switchProbability : cutmix > 0;
  const alpha = useCutmix ? cutmix : mixup;
  const lambda = randomBeta.source(next)(alpha, alpha)();
  if (!useCutmix) return { kind: "mixup", lambda };
  const centre = () => Math.floor(next() * imageSize);
  return cutmixBox(lambda, imageSize, centre(), centre());
}

/**
 * The box of CutMix (arXiv:1905.04899): sides `floor(size * sqrt(1 - lambda))` around a centre, cut off at the borders; lambda
 * is then corrected to the area that is left.
 */
export function cutmixBox(
  lambda: number,
  size: number,
  centreRow: number,
  centreColumn: number,
): Mixing {
  const half = Math.floor(Math.floor(size * Math.sqrt(1 - lambda)) / 2);
  const clamp = (value: number) => Math.min(Math.max(value, 0), size);
  const [top, bottom] = [clamp(centreRow - half), clamp(centreRow + half)];
  const [left, right] = [clamp(centreColumn - half), clamp(centreColumn + half)];
  const area = (bottom - top) * (right - left);
  return { kind: "cutmix", top, bottom, left, right, lambda: 1 - area / (size * size) };
}

/** The inputs of {@link mixImages} for a mixing: `mixRows`, `mixColumns` `[size]` and `mixAmount` `[]`. */
export function mixingInputs(mixing: Mixing, size: number): HostTensors {
  const inside = (from: number, to: number) =>
    Float32Array.from({ length: size }, (_, i) => (i >= from && i < to ? 1 : 0));
  const isBox = mixing.kind === "cutmix";
  const amount = isBox ? 1 : mixing.kind === "mixup" ? 1 - mixing.lambda : 0;
  const line = (data: Float32Array): HostTensor => ({ dtype: "float32", shape: [size], data });
  return {
    mixRows: line(isBox ? inside(mixing.top, mixing.bottom) : inside(0, size)),
    mixColumns: line(isBox ? inside(mixing.left, mixing.right) : inside(0, size)),
    mixAmount: { dtype: "float32", shape: [], data: Float32Array.of(amount) },
  };
}

/**
 * Mixes a batch with itself in reverse order: `x (1 - w) + reversed w`, `w` being `amount` inside rows x columns.
 *
 * @param images `[B, H, W, C]`, B even
 * @param rows `[H]`, 1 inside the box
 * @param columns `[W]`, 1 inside the box
 * @param amount `[]`: 1 for CutMix, `1 - lambda` for mixup with a box of the whole image, 0 for nothing
 * @returns `[B, H, W, C]`; the caller disposes of it
 */
export function mixImages(
  images: tf.Tensor,
  rows: tf.Tensor,
  columns: tf.Tensor,
  amount: tf.Tensor,
): tf.Tensor {
  const [batch, height, width] = images.shape as [number, number, number];
  return tf.tidy(() => {
    const box = tf.mul(tf.reshape(rows, [1, height, 1, 1]), tf.reshape(columns, [1, 1, width, 1]));
    const weight = tf.mul(box, amount);
    const order = Int32Array.from({ length: batch }, (_, i) => batch - 1 - i);
    const reversed = tf.gather(images, tf.tensor1d(order, "int32"));
    return tf.add(tf.mul(images, tf.sub(1, weight)), tf.mul(reversed, weight));
  });
}

/**
 * Targets of a mixed batch, as timm's `mixup_target`: smoothed one-hot rows of the labels and of the labels in
 * reverse order, blended by lambda.
 *
 * @param labels `[B]` class indices
 * @returns `[B, numClasses]`
 */
export function softTargets(
  labels: ArrayLike<number>,
  numClasses: number,
  labelSmoothing: number,
  mixing: Mixing = { kind: "none" },
): HostTensor {
  const count = labels.length;
  const lambda = mixing.kind === "none" ? 1 : mixing.lambda;
  const off = labelSmoothing / numClasses;
  const data = new Float32Array(count * numClasses).fill(off);
  for (let row = 0; row < count; row++) {
    const [own, other] = [labels[row]!, labels[count - 1 - row]!];
    if (!(own >= 0 && own < numClasses))
      throw new DmaeError(
        "argument",
        `softTargets: labels must lie in [0, ${numClasses}), got ${own}`,
      );
    const on = 1 - labelSmoothing;
    if (own === other) data[row * numClasses + own] = off + on;
    else {
      data[row * numClasses + own] = off + on * lambda;
      data[row * numClasses + other] = off + on * (1 - lambda);
    }
  }
  return { dtype: "float32", shape: [count, numClasses], data };
}
