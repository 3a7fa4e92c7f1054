import type { HostTensor, ImageShape, Key } from "@dmae/core";
import type * as tf from "@tensorflow/tfjs-core";
import type { Params, Tensors } from "./params.ts";

/** How a model is run. A model ignores the options that mean nothing to it. */
export interface ApplyOptions {
  /**
   * True in a training pass: batch normalisation uses the statistics of the batch and returns new running
   * statistics. Default false: it uses the running statistics in `params`, and nothing is updated.
   */
  readonly training?: boolean | undefined;
  /** Vision Transformers: `[depth, 2, B]`, scales of the residual branches, 0 or 1 / (1 - rate). */
  readonly dropPath?: tf.Tensor | undefined;
}

/** What a pass through a model returns; the caller disposes of every tensor in it. */
export interface ModelOutput {
  /** Class scores `[B, numClasses]`. */
  readonly logits: tf.Tensor;
  /**
   * After a training pass, the new values of the model's `buffers` (running statistics). To run the model
   * again in the same step, run it on `{ ...params, ...updates }`: each pass updates once, in that order.
   */
  readonly updates?: Tensors;
}

/**
 * A pass through a classifier: a pure function of named parameters and a batch of images. It draws nothing and reads
 * no value, so it can be traced. The gradient flows to the parameters and to the images.
 *
 * @param params parameters and buffers by their official names
 * @param images `[B, H, W, C]` float32 in [0, 1], noise included; normalisation and resizing are the model's part
 */
export type ApplyFunction = (
  params: Params,
  images: tf.Tensor,
  options?: ApplyOptions,
) => ModelOutput;

/**
 * A classifier of images that every training loop accepts: `createViT(…)`, the networks of `@dmae/convnet`,
 * or an object of your own.
 *
 * @example
 * ```ts
 * const model: Model = {
 *   config: { name: "linear" }, imageShape: [28, 28, 1], numClasses: 10, buffers: [],
 *   initHost: (key) => ({ weight: xavierUniform(key, [10, 784]) }),
 *   apply: ({ weight }, images) => ({ logits: linear(tf.reshape(images, [-1, 784]), weight!) }),
 * };
 * ```
 */
export interface Model {
  /** What defines the model, as plain JSON: a run folder compares it when a run is resumed. */
  readonly config: object;
  /** `[H, W, C]` of the images that `apply` takes. */
  readonly imageShape: ImageShape;
  /** Number of classes. */
  readonly numClasses: number;
  /** Names in `params` that are state, not trained: the running statistics of batch normalisation. */
  readonly buffers: readonly string[];
  /** Initial parameters and buffers in host memory; each value follows from the key, the name and the position. */
  initHost(key: Key): Record<string, HostTensor>;
  /** Class scores, and new buffers after a training pass. */
  apply: ApplyFunction;
}
