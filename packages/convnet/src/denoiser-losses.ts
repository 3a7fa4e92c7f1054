import { DmaeError } from "@dmae/core";
import { softmaxCrossEntropy, type Tensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import type { DenoiserOutput } from "./dncnn.ts";

/** A loss with the new running statistics of the denoiser. */
export interface DenoiserLoss {
  /** The scalar to minimise. */
  readonly loss: tf.Tensor;
  /** New values of the denoiser's buffers, after a training pass. */
  readonly updates?: Tensors;
}

/**
 * The denoising loss of denoised smoothing (Eq. 3, arXiv:2003.01908): the mean squared error of the denoised images,
 * over every pixel and channel.
 *
 * @param output of `denoise(params, images + sigma noise, { training: true })`
 * @param images `[B, H, W, C]`, the clean images
 * @throws DmaeError "shape" if the shapes differ
 */
export function denoisingLoss(output: DenoiserOutput, images: tf.Tensor): DenoiserLoss {
  const { denoised, updates } = output;
  if (`${denoised.shape}` !== `${images.shape}`)
    throw new DmaeError(
      "shape",
      `denoisingLoss: images must be [${denoised.shape}], got [${images.shape}]`,
    );
  const loss = tf.tidy(() => tf.mean(tf.square(tf.sub(denoised, images))));
  return updates ? { loss, updates } : { loss };
}

/**
 * The stability loss of denoised smoothing (Eq. 4, arXiv:2003.01908): the mean cross entropy of a frozen classifier on
 * the denoised images against its own classes of the clean images. No gradient flows to those classes.
 *
 * @param output of `denoise(params, images + sigma noise, { training: true })`
 * @param images `[B, H, W, C]`, the clean images
 * @param classify the class scores `[B, K]` of the classifier, its parameters closed over and its running statistics fixed
 */
export function denoisedStabilityLoss(
  output: DenoiserOutput,
  images: tf.Tensor,
  classify: (images: tf.Tensor) => tf.Tensor,
): DenoiserLoss {
  const { denoised, updates } = output;
  const loss = tf.tidy(() => {
    const clean = classify(images);
    const targets = tf.oneHot(tf.argMax(clean, 1) as tf.Tensor1D, clean.shape[1]!);
    return tf.mean(softmaxCrossEntropy(classify(denoised), tf.cast(targets, "float32")));
  });
  return updates ? { loss, updates } : { loss };
}
