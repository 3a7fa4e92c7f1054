import { klDivergence } from "@dmae/consistency-loss/divergence";
import { softmaxCrossEntropy } from "@dmae/nn";
import { withoutGradient } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { gradientOf, l2Norms, projectToBall } from "./ball.ts";
import {
  checkSettings,
  nonNegative,
  positive,
  positiveInteger,
  requireSettings,
  warmup,
  wholeNumber,
} from "./check-settings.ts";
import {
  type AttackProblem,
  attackedLogits,
  smoothedCrossEntropy,
} from "./classification-attack.ts";
import { isCorrect, meanSoftmax, noisyCopies, repeatRows, scaledNoise } from "./copies.ts";
import { defineMethod } from "./define-method.ts";
import { scheduled, type TrainingMethod } from "./method.ts";

/** Settings of {@link smoothMix}. */
export interface SmoothMixSettings {
  /** Noisy copies of each image, m, `--num-noise-vec`. */
  readonly copies: number;
  /** Steps of the attack, T. */
  readonly steps: number;
  /** Length of each step. */
  readonly alpha: number;
  /** The clean end of the mix is the image after so many steps; 0 for the image itself. */
  readonly mixStep: number;
  /** Weight of the mixup term. */
  readonly eta: number;
  /** Epochs in which that weight, and `cleanNorm`, grow linearly; 1 for none. */
  readonly warmupEpochs: number;
  /** l2 ball around the image that the attack stays in, `--maxnorm`; null for none, the default. */
  readonly maxNorm?: number | null | undefined;
  /** l2 ball around the image that the clean end stays in, `--maxnorm_s`; default `alpha * mixStep`. */
  readonly cleanNorm?: number | undefined;
}

/**
 * SmoothMix: mixes an image with an unrestricted adversary of the smoothed classifier and asks for a confidence that falls
 * to 1 / K on the way,
 *
 *   `mean_{i,j} CE(f(c_i + n_ij), y_i) + eta mean_{i,j} 1[argmax p_i = y_i] KL(t_i || softmax f(x_i^mix + n_ij))`,
 *   `x^mix = (1 - l) c + l x^T`,  `t = (1 - l) p + l / K`,  `l ~ U[0, 1/2)`,  `p = mean_j softmax f(c + n_j)`,
 *
 * c being the image after `mixStep` steps of the attack and x^T after all (Jeong et al. 2021, arXiv:2111.09277;
 * `train_smoothmix.py`). The gradient flows through p. Note that the first term is taken at c, which is adversarial
 * itself unless `mixStep` is 0.
 *
 * @returns a method that needs a uniform draw; its log has the whole loss, and the accuracy of the mean prediction at
 *   c (the official column is a constant 0)
 * @throws DmaeError "argument" for a setting outside its range
 * @example
 * ```ts
 * const method = smoothMix({ copies: 4, steps: 2, alpha: 1, mixStep: 0, eta: 5, warmupEpochs: 10 });
 * ```
 */
export function smoothMix(settings: SmoothMixSettings): TrainingMethod {
  requireSettings("smoothMix", settings);
  const { copies, eta, alpha, mixStep, warmupEpochs, maxNorm = null } = settings;
  const cleanNorm = settings.cleanNorm ?? alpha * mixStep;
  check(settings, { maxNorm, cleanNorm });
  return defineMethod({
    settings: { name: "smoothMix", ...settings, maxNorm, cleanNorm },
    copies,
    passes: 2,
    draws: ["uniform"],
    schedule: (epoch) => {
      const share = warmup(epoch, warmupEpochs);
      return { cleanNorm: share * cleanNorm, mixWeight: share * eta };
    },
    loss(apply, params, batch, draws) {
      const { images, targets } = batch;
      const noise = scaledNoise(images, draws, copies);
      const problem = { apply, params, images, targets, noise, copies };
      const { clean, adversarial } = withoutGradient(() =>
        attack(problem, {
          ...settings,
          maxNorm,
          cleanNorm: scheduled(batch, "cleanNorm", cleanNorm),
        }),
      );
      const first = apply(params, noisyCopies(clean, noise, copies), { training: true });
      const mean = meanSoftmax(first.logits, copies); // [B, K]
      const share = tf.div(draws.uniform!, 2);
      const mixed = mix(clean, adversarial, share);
      const second = apply({ ...params, ...first.updates }, noisyCopies(mixed, noise, copies), {
        training: true,
      });
      const rows = first.logits.shape[0]!;
      const uniform = tf.fill(mean.shape, 1 / mean.shape[1]!);
      const divergence = klDivergence(repeatRows(mix(mean, uniform, share), rows), second.logits);
      const correct = isCorrect(mean, targets);
      const mixing = tf.mean(tf.mul(repeatRows(correct, rows), divergence));
      const crossEntropy = tf.mean(softmaxCrossEntropy(first.logits, repeatRows(targets, rows)));
      const loss = tf.add(crossEntropy, tf.mul(mixing, scheduled(batch, "mixWeight", eta)));
      return {
        loss,
        metrics: { trainLoss: loss, crossEntropy, mixing, accuracy: tf.mean(correct) },
        updates: { ...first.updates, ...second.updates },
      };
    },
  });
}

/** `(1 - share) a + share b`, row by row. */
function mix(a: tf.Tensor, b: tf.Tensor, share: tf.Tensor): tf.Tensor {
  const weight = tf.reshape(share, [-1, ...a.shape.slice(1).map(() => 1)]);
  return tf.add(tf.mul(a, tf.sub(1, weight)), tf.mul(b, weight));
}

/** Steps of fixed length up the sum of the images' `-log max(mean_j p_j(y), 1e-20)`, clamped to [0, 1]. */
function attack(
  problem: AttackProblem,
  settings: Pick<SmoothMixSettings, "steps" | "alpha" | "mixStep"> & {
    readonly maxNorm: number | null;
    readonly cleanNorm: tf.Tensor | number;
  },
): { clean: tf.Tensor; adversarial: tf.Tensor } {
  const { images } = problem;
  const { steps, alpha, mixStep, maxNorm, cleanNorm } = settings;
  const zero = tf.zerosLike(images);
  let clean = images;
  let adversarial: tf.Tensor = images;
  for (let step = 0; step < steps; step++) {
    if (step === mixStep) clean = adversarial;
    const gradient = gradientOf((x) => {
      const logits = attackedLogits({ ...problem, images: x }, zero);
      return tf.sum(smoothedCrossEntropy(problem, logits));
    }, adversarial);
    const direction = tf.div(gradient, tf.add(l2Norms(gradient), 1e-8));
    const moved = tf.add(adversarial, tf.mul(direction, alpha));
    const inBall = maxNorm === null ? moved : toBall(moved, images, maxNorm);
    adversarial = tf.clipByValue(inBall, 0, 1);
  }
  return { clean: tf.clipByValue(toBall(clean, images, cleanNorm), 0, 1), adversarial };
}

const toBall = (x: tf.Tensor, centre: tf.Tensor, radius: tf.Tensor | number) =>
  tf.add(centre, projectToBall(tf.sub(x, centre), radius));

function check(
  settings: SmoothMixSettings,
  defaults: Required<Pick<SmoothMixSettings, "maxNorm" | "cleanNorm">>,
): void {
  const rules = {
    copies: positiveInteger,
    steps: positiveInteger,
    alpha: nonNegative,
    mixStep: wholeNumber,
    eta: nonNegative,
    warmupEpochs: positive,
    maxNorm: defaults.maxNorm === null ? null : nonNegative,
    cleanNorm: nonNegative,
  };
  checkSettings("smoothMix", settings, rules, defaults);
}
