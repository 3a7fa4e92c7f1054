import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { patchify } from "@dmae/vit/parts";
import * as tf from "@tensorflow/tfjs-core";

/** Which patches count: all of them (DMAE) or the hidden ones (MAE). */
export type LossRegion = "all" | "masked";

/** Options of {@link dmaeLoss}. */
export interface DmaeLossOptions {
  /** Side of a patch in pixels. */
  readonly patchSize: number;
  /** Normalises each target patch by its own mean and unbiased variance; default false. */
  readonly normPixLoss?: boolean | undefined;
  /** Default "all", as the official DMAE code. */
  readonly region?: LossRegion | undefined;
  /** `[B, L]`, 1 for a hidden patch; needed for region "masked". */
  readonly mask?: tf.Tensor | undefined;
}

/**
 * Mean squared error between predicted and clean patches.
 *
 * The official DMAE code averages over all patches, visible and hidden; MAE over the hidden ones alone.
 *
 * @param prediction `[B, L, p^2 C]`
 * @param images `[B, H, W, C]`, clean and normalised as the model's input is
 * @returns a scalar; the caller disposes of it
 */
export function dmaeLoss(
  prediction: tf.Tensor,
  images: tf.Tensor,
  options: DmaeLossOptions,
): tf.Scalar {
  checkOptions("dmaeLoss", options, {
    patchSize: true,
    normPixLoss: true,
    region: true,
    mask: true,
  });
  const { patchSize, normPixLoss = false, region = "all", mask } = options;
  return tf.tidy(() => {
    const patches = patchify(images, patchSize);
    const target = normPixLoss ? normalizePatches(patches) : patches;
    const squares = tf.squaredDifference(prediction, target);
    // axis by axis: backends that add up one by one lose digits over long sums
    const perPatch = tf.mean(squares, -1); // [B, L]
    if (region === "all") return tf.mean(tf.mean(perPatch, -1)) as tf.Scalar;
    if (mask === undefined)
      throw new DmaeError("argument", 'dmaeLoss: region "masked" needs the mask, got none');
    return tf.div(tf.sum(tf.mul(perPatch, mask)), tf.sum(mask)) as tf.Scalar;
  });
}

/** Mean and standard deviation of each patch, `[B, L, 1]`: unbiased variance, 1e-6 added to it. */
export function patchStatistics(patches: tf.Tensor): { mean: tf.Tensor; deviation: tf.Tensor } {
  const values = patches.shape[2]!;
  const mean = tf.mean(patches, -1, true);
  const squares = tf.sum(tf.squaredDifference(patches, mean), -1, true);
  return { mean, deviation: tf.sqrt(tf.add(tf.div(squares, values - 1), 1e-6)) };
}

function normalizePatches(patches: tf.Tensor): tf.Tensor {
  const { mean, deviation } = patchStatistics(patches);
  return tf.div(tf.sub(patches, mean), deviation);
}
