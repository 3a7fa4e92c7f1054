import { type ConsistencyMode, consistencyLoss } from "@dmae/consistency-loss";
import { DmaeError } from "@dmae/core";
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
} from "./check-settings.ts";
import {
  type AttackProblem,
  attackedLogits,
  smoothedCrossEntropy,
} from "./classification-attack.ts";
import { accuracy, noisyCopies, repeatRows, scaledNoise, splitCopies } from "./copies.ts";
import { defineMethod } from "./define-method.ts";
import { scheduled, type TrainingMethod } from "./method.ts";

/** Settings of {@link consistency}. */
export interface ConsistencyTrainingSettings {
  /** Noisy copies of each image, m, 2 or more. */
  readonly copies: number;
  /** Weight of the divergence, `--lbd`. */
  readonly lambda: number;
  /** Weight of the entropy, `--eta`; default 0.5. */
  readonly mu?: number | undefined;
  /** Form of the regulariser, see `consistencyLoss`; default `"default"`. */
  readonly mode?: ConsistencyMode | undefined;
  /** Trains on adversarial images, `--adv-training`; null for none. */
  readonly attack?: ConsistencyAttack | null | undefined;
}

/** The attack of `--adv-training`. */
export interface ConsistencyAttack {
  /** l2 radius; the official `--epsilon` is this times 256. */
  readonly epsilon: number;
  /** Steps. */
  readonly steps: number;
  /** Epochs in which the radius grows linearly to `epsilon`; 1 for none. */
  readonly warmupEpochs: number;
}

/**
 * Consistency regularisation of Gaussian augmentation,
 *
 *   `mean_{i,j} CE(f(x_i + n_ij), y_i) + mean_i [lambda mean_j KL(p_i || p_ij) + mu H(p_i)]`,  `p_i = mean_j p_ij`
 *
 * (Jeong & Shin 2020, arXiv:2006.04062, Eq. 6; `train_consistency.py`). The regulariser is `consistencyLoss` of
 * `@dmae/consistency-loss`. With `attack`, x is first moved to raise `-log mean_j p_ij(y)`.
 *
 * @returns a method; its log has the cross entropy alone, and the accuracy on the copies
 * @throws DmaeError "argument" for a setting outside its range
 * @example
 * ```ts
 * const method = consistency({ copies: 2, lambda: 10, mu: 0.5 });
 * ```
 */
export function consistency(settings: ConsistencyTrainingSettings): TrainingMethod {
  requireSettings("consistency", settings);
  const { copies, lambda, mu = 0.5, mode = "default", attack = null } = settings;
  check(settings);
  return defineMethod({
    settings: { name: "consistency", copies, lambda, mu, mode, attack },
    copies,
    mixable: attack === null,
    schedule: (epoch): Record<string, number> =>
      attack ? { radius: attack.epsilon * warmup(epoch, attack.warmupEpochs) } : {},
    loss(apply, params, batch, draws) {
      const { images: clean, targets } = batch;
      const noise = scaledNoise(clean, draws, copies);
      const problem = { apply, params, images: clean, targets, noise, copies };
      const images = attack
        ? withoutGradient(() =>
            attacked(problem, scheduled(batch, "radius", attack.epsilon), attack.steps),
          )
        : clean;
      const { logits, updates = {} } = apply(params, noisyCopies(images, noise, copies), {
        training: true,
      });
      const labels = repeatRows(targets, logits.shape[0]!);
      const trainLoss = tf.mean(softmaxCrossEntropy(logits, labels));
      const regularizer = consistencyLoss(splitCopies(logits, copies), { lambda, mu, mode });
      return {
        loss: tf.add(trainLoss, regularizer),
        metrics: { trainLoss, consistency: regularizer, accuracy: accuracy(logits, labels) },
        updates,
      };
    },
  });
}

/** As PGD, but with `|g| + 1e-8` below the gradient, and projected before it is clamped. */
function attacked(problem: AttackProblem, radius: tf.Tensor | number, steps: number): tf.Tensor {
  const { images } = problem;
  const rate = tf.div(tf.mul(radius, 2), steps);
  let adversarial: tf.Tensor = images;
  for (let step = 0; step < steps; step++) {
    const gradient = gradientOf((x) => {
      const logits = attackedLogits({ ...problem, images: x }, tf.zerosLike(images));
      return tf.mean(smoothedCrossEntropy(problem, logits));
    }, adversarial);
    const direction = tf.div(gradient, tf.add(l2Norms(gradient), 1e-8));
    const delta = tf.sub(tf.add(adversarial, tf.mul(direction, rate)), images);
    adversarial = tf.clipByValue(tf.add(images, projectToBall(delta, radius)), 0, 1);
  }
  return adversarial;
}

function check(settings: ConsistencyTrainingSettings): void {
  const { attack = null, mu = 0.5 } = settings;
  checkSettings(
    "consistency",
    settings,
    {
      copies: [(v) => Number.isInteger(v) && v >= 2, "an integer, 2 or more"],
      lambda: nonNegative,
      mu: nonNegative,
      mode: null,
      attack: null,
    },
    { mu },
  );
  const { mode = "default" } = settings;
  if (!["default", "xent", "kl", "mse"].includes(mode))
    throw new DmaeError(
      "argument",
      `consistency: mode must be "default", "xent", "kl" or "mse", got ${mode}`,
    );
  if (attack !== null)
    checkSettings("consistency: attack", attack, {
      epsilon: nonNegative,
      steps: positiveInteger,
      warmupEpochs: positive,
    });
}
