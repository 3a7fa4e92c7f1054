import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { type DiffusionSchedule, diffusionStep } from "./one-shot-diffusion.ts";

/**
 * Predicts the noise of a batch in ordinary memory: `[n, H, W, C]` images in [-1, 1] at one time. It returns as many numbers; of more
 * channels (a learned variance) the first C of each pixel count.
 */
export type HostNoisePredictor = ((
  images: Float32Array,
  shape: readonly number[],
  time: number,
) => ArrayLike<number> | Promise<ArrayLike<number>>) & {
  /**
   * What tells it from others in certification logs, e.g. a hash of its weights: `Object.assign(predict, { fingerprint })`.
   * Without one its name does, as for classifiers.
   */
  readonly fingerprint?: string;
};

/** Options of {@link oneShotDenoiser}. */
export interface OneShotDenoiserOptions {
  /** The schedule that the predictor was trained with. */
  readonly schedule: DiffusionSchedule;
  /** Standard deviation of the smoothing noise, in units of images in [0, 1]. */
  readonly sigma: number;
  /** The predictor: a function, {@link onnxNoisePredictor}, or a compiled U-Net. */
  readonly predict: HostNoisePredictor;
}

/** A denoiser of noisy batches in ordinary memory; `denoised` of `@dmae/smoothing-certify` takes it. */
export type HostDenoiser = ((
  batch: Float32Array,
  shape: readonly number[],
) => Promise<Float32Array>) & {
  /** Tells it from others in certification logs: by its weights or its predictor, and by its noise level. */
  readonly fingerprint: string;
};

/**
 * One-shot diffusion denoising of images that are noisy already (arXiv:2206.10550): what certification needs, where the noise is drawn
 * by CERTIFY. A noisy image y in [0, 1] is scaled to the noise of step t*, `x_t = sqrt(alphaBar) (2 y - 1)`; the
 * predicted noise e gives `x_0 = x_t / sqrt(alphaBar) - sqrt(1 / alphaBar - 1) e`, clipped to [-1, 1] and mapped back.
 *
 * The official code draws its own noise, at the level of t*, a little above sigma ({@link oneShotDenoise} does the same). Here the
 * noise has exactly sigma, so the certificate is for the noise that is declared; the network sees a little less noise
 * than at t* in training (0.06 % less at sigma 0.5 with the cosine schedule).
 *
 * @returns a function of a batch `[n, H, W, C]` that resolves to images in [0, 1] of the same shape
 * @throws DmaeError "argument" for a sigma beyond the schedule; the function: "shape" for a batch or a prediction of
 *   another size
 * @example
 * ```ts
 * const denoise = oneShotDenoiser({ schedule: diffusionSchedule("cosine"), sigma: 0.5, predict });
 * const { radius } = await certify(denoised(denoise, classifier), image, { sigma: 0.5 });
 * ```
 */
export function oneShotDenoiser(options: OneShotDenoiserOptions): HostDenoiser {
  checkOptions("oneShotDenoiser", options, { schedule: true, sigma: true, predict: true });
  const { schedule, sigma, predict } = options;
  if (typeof predict !== "function")
    throw new DmaeError("argument", `oneShotDenoiser: predict must be a function, got ${predict}`);
  const t = diffusionStep(schedule, sigma);
  const alphaBar = schedule.alphaBars[t]!;
  const [signal, spread] = [Math.sqrt(alphaBar), Math.sqrt(1 / alphaBar - 1)];
  const denoise = async (batch: Float32Array, shape: readonly number[]) => {
    if (shape.length !== 4 || shape.reduce((a, b) => a * b, 1) !== batch.length)
      throw new DmaeError(
        "shape",
        `oneShotDenoiser: the batch must be [n, H, W, C], got [${shape}] and ${batch.length} numbers`,
      );
    const noisy = batch.map((value) => signal * (2 * value - 1));
    const noise = await predict(noisy, shape, t * schedule.timeScale);
    const channels = shape.at(-1)!;
    const given = (noise.length / batch.length) * channels;
    if (!Number.isInteger(given) || given < channels)
      throw new DmaeError(
        "shape",
        `oneShotDenoiser: predict must return [${shape.slice(0, -1)}, >= ${channels}], got ${noise.length} numbers`,
      );
    return noisy.map((value, i) => {
      const error = noise[Math.floor(i / channels) * given + (i % channels)]!;
      const estimate = value / signal - spread * error;
      return (Math.min(1, Math.max(-1, estimate)) + 1) / 2;
    });
  };
  const identity = predict.fingerprint ?? predict.name;
  const { timeScale } = schedule;
  return Object.assign(denoise, {
    fingerprint: JSON.stringify(["one-shot", t, alphaBar, timeScale, identity]),
  });
}
