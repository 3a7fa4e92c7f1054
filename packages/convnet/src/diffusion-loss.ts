import { DmaeError, type HostTensor } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import type { DiffusionSchedule } from "./one-shot-diffusion.ts";

/** The draws of {@link diffusionLoss}, each image at a step of its own. */
export interface DiffusionDraws {
  /** Standard normals, the shape of the images. */
  readonly noise: tf.Tensor;
  /** `[B]`: `sqrt(alphaBar_t)`, the share of the image. */
  readonly signal: tf.Tensor;
  /** `[B]`: `sqrt(1 - alphaBar_t)`, the share of the noise. */
  readonly spread: tf.Tensor;
  /** `[B]`: what the network takes as time. */
  readonly time: tf.Tensor;
}

/**
 * The numbers that {@link diffusionLoss} takes for steps of a schedule, in float32 as the official code casts them.
 *
 * @param steps of each image, from 0 to the schedule's length less one
 * @returns `signal`, `spread` and `time`, each `[B]`
 * @throws DmaeError "argument" for a step outside the schedule
 */
export function diffusionSteps(
  { alphaBars, timeScale }: DiffusionSchedule,
  steps: ArrayLike<number>,
): Readonly<Record<"signal" | "spread" | "time", HostTensor>> {
  const all = Array.from(steps);
  const wrong = all.find((t) => !(Number.isInteger(t) && t >= 0 && t < alphaBars.length));
  if (wrong !== undefined)
    throw new DmaeError(
      "argument",
      `diffusionSteps: steps must be integers from 0 to ${alphaBars.length - 1}, got ${wrong}`,
    );
  const tensor = (of: (t: number) => number): HostTensor => ({
    dtype: "float32",
    shape: [all.length],
    data: Float32Array.from(all, of),
  });
  return {
    signal: tensor((t) => Math.sqrt(alphaBars[t]!)),
    spread: tensor((t) => Math.sqrt(1 - alphaBars[t]!)),
    time: tensor((t) => t * timeScale),
  };
}

/**
 * The simple loss of diffusion models (Eq. 14, arXiv:2006.11239): the mean squared error of the predicted noise,
 *
 *   `mean (n - e(x_t, t))^2`,  `x_t = sqrt(alphaBar_t) (2 x - 1) + sqrt(1 - alphaBar_t) n`.
 *
 * Of a prediction with more channels than the images (a learned variance) the first C count.
 *
 * @param predict the noise of `[B, H, W, C]` images in [-1, 1] at times `[B]`
 * @param images `[B, H, W, C]` in [0, 1]
 * @returns a scalar; the caller disposes of it
 * @example
 * ```ts
 * const predict = (x: tf.Tensor, time: tf.Tensor) => unet.predict(params, x, time);
 * const loss = diffusionLoss(predict, images, { noise, ...toTensors(diffusionSteps(schedule, steps)) });
 * ```
 */
export function diffusionLoss(
  predict: (images: tf.Tensor, time: tf.Tensor) => tf.Tensor,
  images: tf.Tensor,
  { noise, signal, spread, time }: DiffusionDraws,
): tf.Tensor {
  if (images.rank !== 4 || `${noise.shape}` !== `${images.shape}`)
    throw new DmaeError(
      "shape",
      `diffusionLoss: images must be [B, H, W, C] and noise the same, got [${images.shape}] and [${noise.shape}]`,
    );
  return tf.tidy(() => {
    const perImage = (values: tf.Tensor) => tf.reshape(values, [-1, 1, 1, 1]);
    const scaled = tf.sub(tf.mul(images, 2), 1);
    const noisy = tf.add(tf.mul(scaled, perImage(signal)), tf.mul(noise, perImage(spread)));
    const predicted = tf.slice(predict(noisy, time), [0, 0, 0, 0], images.shape);
    return tf.mean(tf.square(tf.sub(noise, predicted)));
  });
}
