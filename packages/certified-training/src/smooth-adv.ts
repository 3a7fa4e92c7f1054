import { DmaeError } from "@dmae/core";
import { softmaxCrossEntropy } from "@dmae/nn";
import { withoutGradient } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import {
  checkSettings,
  nonNegative,
  positive,
  positiveInteger,
  requireSettings,
  warmup,
} from "./check-settings.ts";
import { fallbackDirection } from "./classification-attack.ts";
import { accuracy, noisyCopies, repeatRows, scaledNoise } from "./copies.ts";
import { ddn } from "./ddn.ts";
import { defineMethod } from "./define-method.ts";
import { scheduled, type TrainingMethod } from "./method.ts";
import { pgd } from "./pgd.ts";

/** Settings of {@link smoothAdv}. */
export interface SmoothAdvSettings {
  /** Noisy copies of each image, m, `--num-noise-vec`. */
  readonly copies: number;
  /** l2 radius of the attack; the official `--epsilon` is this times 256. */
  readonly epsilon: number;
  /** Steps of the attack. */
  readonly steps: number;
  /** Epochs in which the radius grows linearly to `epsilon`; 1 for none. */
  readonly warmupEpochs: number;
  /** `"pgd"` by default; `"ddn"`; `"gradient-free"` is `--no-grad-attack`, for two copies or more. */
  readonly attack?: "pgd" | "ddn" | "gradient-free" | undefined;
  /** DDN only: change of the norm from step to step; default 0.05. */
  readonly gamma?: number | undefined;
}

const attacks = ["pgd", "ddn", "gradient-free"];

/**
 * SmoothAdv: adversarial training of the smoothed classifier,
 *
 *   `mean_{i,j} CE(f(x'_i + n_ij), y_i)`,  `x' = argmax_{|x' - x| <= epsilon} -log mean_j softmax(f(x' + n_j))_y`
 *
 * (Salman et al. 2019, arXiv:1906.04584, Eq. S; `train_salman.py`). The attack shares the noise with the training pass
 * and runs the model in evaluation mode. The radius in epoch e is `epsilon min(1, (e + 1) / warmupEpochs)`.
 *
 * @returns a method; its log has this loss and the accuracy on the adversarial noisy copies
 * @throws DmaeError "argument" for a setting outside its range
 * @example
 * ```ts
 * const method = smoothAdv({ copies: 4, epsilon: 255 / 256, steps: 10, warmupEpochs: 10 });
 * ```
 */
export function smoothAdv(settings: SmoothAdvSettings): TrainingMethod {
  requireSettings("smoothAdv", settings);
  const { copies, epsilon, steps, warmupEpochs, attack = "pgd", gamma = 0.05 } = settings;
  const whole = { copies, epsilon, steps, warmupEpochs, attack, gamma };
  check(settings, whole);
  return defineMethod({
    settings: { name: "smoothAdv", ...whole },
    copies,
    schedule: (epoch) => ({ radius: epsilon * warmup(epoch, warmupEpochs) }),
    loss(apply, params, batch, draws) {
      const { images, targets } = batch;
      const noise = scaledNoise(images, draws, copies);
      const radius = scheduled(batch, "radius", epsilon);
      const adversarial = withoutGradient(() => {
        const problem = { apply, params, images, targets, noise, copies };
        const walk = {
          radius,
          steps,
          fallback: (step: number) => fallbackDirection(draws, images, step),
        };
        if (attack === "ddn") return ddn(problem, { ...walk, gamma });
        return pgd(problem, { ...walk, gradientFree: attack === "gradient-free" });
      });
      const inputs = noisyCopies(adversarial, noise, copies);
      const { logits, updates = {} } = apply(params, inputs, { training: true });
      const labels = repeatRows(targets, logits.shape[0]!);
      const loss = tf.mean(softmaxCrossEntropy(logits, labels));
      return { loss, metrics: { trainLoss: loss, accuracy: accuracy(logits, labels) }, updates };
    },
  });
}

function check(
  given: SmoothAdvSettings,
  settings: SmoothAdvSettings & { readonly attack: string; readonly gamma: number },
): void {
  const rules = {
    copies: positiveInteger,
    epsilon: nonNegative,
    steps: positiveInteger,
    warmupEpochs: positive,
    attack: null,
    gamma: nonNegative,
  };
  checkSettings("smoothAdv", given, rules, settings);
  const { attack, copies, gamma } = settings;
  if (!attacks.includes(attack))
    throw new DmaeError(
      "argument",
      `smoothAdv: attack must be one of ${attacks.join(", ")}, got "${attack}"`,
    );
  if (attack === "gradient-free" && copies < 2)
    throw new DmaeError(
      "argument",
      `smoothAdv: "gradient-free" needs 2 copies or more, got ${copies}`,
    );
  if (!(gamma < 1))
    throw new DmaeError("argument", `smoothAdv: gamma must be below 1, got ${gamma}`);
}
