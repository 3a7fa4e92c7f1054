import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import * as tf from "@tensorflow/tfjs-core";

/** The noise levels of a diffusion model, in float64. */
export interface DiffusionSchedule {
  /** Variance added in each step, `[steps]`. */
  readonly betas: Float64Array;
  /** `alphaBar_t = prod_{s <= t} (1 - beta_s)`: the share of the image's variance that is left, `[steps]`. */
  readonly alphaBars: Float64Array;
  /** What the network takes as time for step `t`: `t timeScale`. */
  readonly timeScale: number;
}

/**
 * The schedule of the diffusion models that denoised smoothing uses (arXiv:2206.10550): `"cosine"`, improved diffusion's for
 * CIFAR-10 (4000 steps, time scaled to 1000), or `"linear"`, guided diffusion's for ImageNet (1000 steps, beta from 1e-4
 * to 0.02, for other lengths times 1000 / steps; so it needs more than 20 steps).
 *
 * @param steps 4000 for `"cosine"`, 1000 for `"linear"` where it is left out
 * @throws DmaeError "argument" for another name, or a number of steps that is not a positive integer or makes a beta 1
 *   or more
 */
export function diffusionSchedule(
  kind: "cosine" | "linear",
  steps = kind === "cosine" ? 4000 : 1000,
): DiffusionSchedule {
  if (kind !== "cosine" && kind !== "linear")
    throw new DmaeError(
      "argument",
      `diffusionSchedule: kind must be "cosine" or "linear", got ${kind}`,
    );
  if (!Number.isInteger(steps) || steps < 1 || steps > 1e6)
    throw new DmaeError(
      "argument",
      `diffusionSchedule: steps must be a positive integer of at most 1,000,000, got ${steps}`,
    );
  if (kind === "linear" && steps <= 20)
    throw new DmaeError(
      "argument",
      `diffusionSchedule: "linear" needs 21 steps or more, so that its last beta, 20 / steps, is below 1, got ${steps}`,
    );
  const left = (t: number) => Math.cos((((t / steps + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  const cosine = (i: number) => Math.min(1 - left(i + 1) / left(i), 0.999);
  const [low, high] = [0.1 / steps, 20 / steps];
  const linear = (i: number) => low + ((high - low) * i) / (steps - 1);
  const betas = Float64Array.from({ length: steps }, (_, i) =>
    kind === "cosine" ? cosine(i) : linear(i),
  );
  let product = 1;
  const alphaBars = betas.map((beta) => {
    product *= 1 - beta;
    return product;
  });
  return { betas, alphaBars, timeScale: kind === "cosine" ? 1000 / steps : 1 };
}

/**
 * The step `t*` whose noise is at least that of smoothing: the first t >= 1 with
 * `sqrt((1 - alphaBar_t) / alphaBar_t) >= 2 sigma` (images lie in [-1, 1] there, hence the 2; arXiv:2206.10550, section 3).
 *
 * @param sigma standard deviation of the smoothing noise, in units of images in [0, 1]
 * @throws DmaeError "argument" if sigma is not positive or beyond the schedule
 */
export function diffusionStep(schedule: DiffusionSchedule, sigma: number): number {
  const { alphaBars } = schedule ?? {};
  if (!(alphaBars?.length > 0))
    throw new DmaeError(
      "argument",
      `diffusionStep: schedule must be one of diffusionSchedule, got ${JSON.stringify(schedule)}`,
    );
  if (!(typeof sigma === "number" && sigma > 0) || !Number.isFinite(sigma))
    throw new DmaeError("argument", `diffusionStep: sigma must be positive, got ${sigma}`);
  const found = alphaBars.findIndex((a, t) => t >= 1 && Math.sqrt((1 - a) / a) >= 2 * sigma);
  if (found < 0)
    throw new DmaeError(
      "argument",
      `diffusionStep: sigma must not exceed the noise of the last step, got ${sigma}`,
    );
  return found;
}

/**
 * Predicts the noise of `[B, H, W, C]` images in [-1, 1] at a time; of more channels (a learned variance) the first C count.
 */
export type NoisePredictor = (images: tf.Tensor, time: number) => tf.Tensor;

/** Options of {@link oneShotDenoise}. */
export interface OneShotOptions {
  /** The schedule that the predictor was trained with. */
  readonly schedule: DiffusionSchedule;
  /** Standard deviation of the smoothing noise, in units of images in [0, 1]. */
  readonly sigma: number;
  /** The predictor. */
  readonly predict: NoisePredictor;
}

/**
 * One-shot diffusion denoising (arXiv:2206.10550): the image is scaled to [-1, 1] and brought to the noise of step `t*`,
 * `x_t = sqrt(alphaBar) (2 x - 1) + sqrt(1 - alphaBar) noise`; the predicted noise e gives
 * `x_0 = x_t / sqrt(alphaBar) - sqrt(1 / alphaBar - 1) e`, clipped to [-1, 1].
 *
 * The noise of step t* is slightly above sigma, never below, so a certificate for sigma holds. Coefficients are float32, as in the
 * official code.
 *
 * @param x `[B, H, W, C]` clean images in [0, 1]: the noise of smoothing is added here
 * @param noise standard normal, the shape of `x`
 * @returns `[B, H, W, C]` in [-1, 1], as the official classifiers take them; the caller disposes of it
 * @throws DmaeError "shape" for noise or a prediction that does not fit
 * @example
 * ```ts
 * const schedule = diffusionSchedule("cosine");
 * const clean = oneShotDenoise(x, noise, { schedule, sigma: 0.25, predict: (images, time) => unet(images, time) });
 * ```
 */
export function oneShotDenoise(x: tf.Tensor, noise: tf.Tensor, options: OneShotOptions): tf.Tensor {
  checkOptions("oneShotDenoise", options, { schedule: true, sigma: true, predict: "function" });
  const { schedule, sigma, predict } = options;
  if (x.rank !== 4 || `${noise.shape}` !== `${x.shape}`)
    throw new DmaeError(
      "shape",
      `oneShotDenoise: x must be [B, H, W, C] and noise the same, got [${x.shape}] and [${noise.shape}]`,
    );
  const t = diffusionStep(schedule, sigma);
  const alphaBar = schedule.alphaBars[t]!;
  return tf.tidy(() => {
    const scaled = tf.sub(tf.mul(x, 2), 1);
    const noisy = tf.add(
      tf.mul(scaled, Math.sqrt(alphaBar)),
      tf.mul(noise, Math.sqrt(1 - alphaBar)),
    );
    const predicted = predict(noisy, t * schedule.timeScale);
    if (predicted.rank !== 4 || predicted.shape[3]! < x.shape[3]!)
      throw new DmaeError(
        "shape",
        `oneShotDenoise: predict must return [B, H, W, >= ${x.shape[3]}], got [${predicted.shape}]`,
      );
    const error = tf.slice(predicted, [0, 0, 0, 0], x.shape);
    const estimate = tf.sub(
      tf.mul(noisy, Math.sqrt(1 / alphaBar)),
      tf.mul(error, Math.sqrt(1 / alphaBar - 1)),
    );
    return tf.clipByValue(estimate, -1, 1);
  });
}
