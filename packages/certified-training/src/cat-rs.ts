import { klDivergence } from "@dmae/consistency-loss/divergence";
import { DmaeError } from "@dmae/core";
import { type ApplyFunction, type Params, softmaxCrossEntropy } from "@dmae/nn";
import { withoutGradient } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { binomial } from "./binomial.ts";
import {
  checkSettings,
  nonNegative,
  positiveInteger,
  requireSettings,
  wholeNumber,
} from "./check-settings.ts";
import {
  accuracy,
  atLabel,
  isCorrect,
  noisyCopies,
  repeatRows,
  scaledNoise,
  splitCopies,
} from "./copies.ts";
import { defineMethod } from "./define-method.ts";
import { type MethodBatch, type MethodDraws, scheduled, type TrainingMethod } from "./method.ts";
import { noiseAttack } from "./noise-attack.ts";

/** Settings of {@link catRs}. */
export interface CatRsSettings {
  /** Noisy copies of each image, m, `--num-noise-vec`. */
  readonly copies: number;
  /** l2 radius of the attack on the noise; the official `--epsilon` is this times 256. */
  readonly epsilon: number;
  /** Steps of the attack. */
  readonly steps: number;
  /** Weight of the adversarial term, `--lbd`. */
  readonly lambda: number;
  /** What the confidence of an image is: the votes of its copies (default), or the soft label, `--confidence_mask`. */
  readonly confidence?: "votes" | "soft labels" | undefined;
  /** First epoch with twice the radius, `--warmup`; null for none, the default. */
  readonly doubleRadiusFromEpoch?: number | null | undefined;
}

/**
 * CAT-RS: confidence-aware training,
 *
 *   `mean_i [1/m sum_{j <= K_i} CE_(j) + lambda 1[K_i = m] max_j KL(pb_i || softmax f(x_i + n'_ij))]`
 *
 * with CE_(1) <= CE_(2) <= … the cross entropies of the copies, `K_i ~ max(1, Binomial(m, w_i))`, w_i the share of copies
 * that vote for the label, pb fixed soft labels and n' adversarial noise (Jeong, Kim & Shin 2023, arXiv:2212.09000;
 * `train_catrs.py`). The sum is divided by m, not by K. Both passes train; the attack between them is in evaluation mode.
 *
 * @returns a method that needs soft labels and a uniform draw; its log has the first term, and the accuracy on the
 *   adversarial copies
 * @throws DmaeError "argument" for a setting outside its range
 * @example
 * ```ts
 * const method = catRs({ copies: 4, epsilon: 1, steps: 4, lambda: 1 });
 * ```
 */
export function catRs(settings: CatRsSettings): TrainingMethod {
  requireSettings("catRs", settings);
  const { copies, epsilon, steps, lambda } = settings;
  const { confidence = "votes", doubleRadiusFromEpoch = null } = settings;
  check(settings, { confidence, doubleRadiusFromEpoch });
  const doubled = (epoch: number) =>
    doubleRadiusFromEpoch !== null && epoch >= doubleRadiusFromEpoch;
  return defineMethod({
    settings: { name: "catRs", ...settings, confidence, doubleRadiusFromEpoch },
    copies,
    passes: 2,
    draws: ["uniform"],
    needsSoftLabels: true,
    schedule: (epoch) => ({ radius: doubled(epoch) ? 2 * epsilon : epsilon }),
    loss(apply, params, batch, draws) {
      const { images, targets } = batch;
      const softLabels = batch.softLabels!;
      const noise = scaledNoise(images, draws, copies);
      const first = apply(params, noisyCopies(images, noise, copies), { training: true });
      const afterFirst = { ...params, ...first.updates };
      const { counts, adversarialNoise } = withoutGradient(() => ({
        counts: countedCopies(
          first.logits,
          confidence === "votes" ? null : softLabels,
          batch,
          draws,
        ),
        adversarialNoise: noiseAttack(
          apply,
          afterFirst,
          { images, softLabels, noise, copies },
          {
            radius: scheduled(batch, "radius", epsilon),
            steps,
          },
        ),
      }));
      const crossEntropies = perCopyCrossEntropy(first.logits, targets, copies);
      const trainLoss = tf.mean(tf.div(smallestSum(crossEntropies, counts), copies));
      const second = adversarialPass(apply, afterFirst, images, adversarialNoise, copies);
      const divergences = klDivergence(repeatRows(softLabels, second.rows), second.logits);
      const worst = largest(splitCopies(divergences, copies)); // [B]
      const confident = tf.cast(tf.equal(counts, copies), "float32");
      const adversarial = tf.mean(tf.mul(worst, confident));
      return {
        loss: tf.add(trainLoss, tf.mul(adversarial, lambda)),
        metrics: { trainLoss, adversarial, accuracy: accuracy(second.logits, targets) },
        updates: { ...first.updates, ...second.updates },
      };
    },
  });
}

function adversarialPass(
  apply: ApplyFunction,
  params: Params,
  images: tf.Tensor,
  noise: tf.Tensor,
  copies: number,
) {
  const output = apply(params, noisyCopies(images, noise, copies), { training: true });
  return { ...output, rows: output.logits.shape[0]! };
}

/** K of each image, `[B]`: how many of its copies count, at least one. */
function countedCopies(
  logits: tf.Tensor,
  confidences: tf.Tensor | null,
  { targets }: MethodBatch,
  { counts, uniform }: MethodDraws,
): tf.Tensor {
  const copies = logits.shape[0]! / targets.shape[0]!;
  if (counts) return tf.maximum(counts, 1);
  const votes = tf.mean(
    splitCopies(isCorrect(logits, repeatRows(targets, logits.shape[0]!)), copies),
    0,
  );
  const share = confidences ? atLabel(confidences, targets) : votes;
  return tf.maximum(binomial(uniform!, copies, share), 1);
}

/** `[m, B]`. */
function perCopyCrossEntropy(logits: tf.Tensor, targets: tf.Tensor, copies: number): tf.Tensor {
  const losses = softmaxCrossEntropy(logits, repeatRows(targets, logits.shape[0]!));
  return splitCopies(losses, copies);
}

/** The sum of the `counts` smallest values of each column, `[m, B] -> [B]`. */
function smallestSum(values: tf.Tensor, counts: tf.Tensor | number): tf.Tensor {
  const isKept = withoutGradient(() => tf.cast(tf.less(ranks(values), counts), "float32"));
  return tf.sum(tf.mul(values, isKept), 0);
}

/** The largest value of each column; of equal ones the first gets the gradient, where `tf.max` gives it to each. */
const largest = (values: tf.Tensor): tf.Tensor => tf.neg(smallestSum(tf.neg(values), 1));

/** Place of each value in its column, from 0; of equal values the first comes first. */
function ranks(values: tf.Tensor): tf.Tensor {
  const copies = values.shape[0]!;
  const rows = tf.unstack(values);
  const below = rows.map((row, j) =>
    tf.addN(
      rows.map((other, k) =>
        tf.cast(k < j ? tf.lessEqual(other, row) : tf.less(other, row), "float32"),
      ),
    ),
  );
  return copies === 1 ? tf.zerosLike(values) : tf.stack(below);
}

function check(
  settings: CatRsSettings,
  defaults: Required<Pick<CatRsSettings, "confidence" | "doubleRadiusFromEpoch">>,
): void {
  const { confidence, doubleRadiusFromEpoch } = defaults;
  const rules = {
    copies: positiveInteger,
    epsilon: nonNegative,
    steps: positiveInteger,
    lambda: nonNegative,
    confidence: null,
    doubleRadiusFromEpoch: doubleRadiusFromEpoch === null ? null : wholeNumber,
  };
  checkSettings("catRs", settings, rules, defaults);
  if (confidence !== "votes" && confidence !== "soft labels")
    throw new DmaeError(
      "argument",
      `catRs: confidence must be "votes" or "soft labels", got "${confidence}"`,
    );
}
