import { existsSync } from "node:fs";
import { loadCheckpoint, saveSafetensors } from "@dmae/checkpoint";
import {
  DmaeError,
  foldIn,
  type HostTensor,
  type HostTensors,
  type ImageDataset,
  key,
  normal,
} from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { Executor, Model } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";

/** Noisy copies of each image that vote; the official soft labels count 10,000. */
const copies = 100;

/** Options of {@link makeSoftLabels}. */
export interface SoftLabelOptions {
  /** Runs the classifier. */
  readonly executor: Executor;
  /** Standard deviation of the noise, in images in [0, 1]; the official code takes labels of 0.25 at every level. */
  readonly sigma: number;
  /** Where they are kept, with the name `softLabels`; a file of the first images is continued. */
  readonly file: string;
  /** Called after each image. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Stops with the signal's reason; what is done is kept. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The soft labels that CAT-RS needs: how often a classifier, trained under Gaussian noise, answers each class to
 * 100 noisy copies of an image. The noise depends on the index of the image and the copy alone.
 *
 * @param params those of the classifier, in ordinary memory
 * @param data the images to train on, in their order, of the shape that the classifier takes
 * @returns `[N, K]` float32, each row with the sum 1: the option `softLabels` of `robustFinetune`
 * @throws DmaeError "file" for a file of other classes or of more images
 * @example
 * const options = { executor, sigma: 0.25, file: "soft-labels.safetensors" };
 * const softLabels = await makeSoftLabels(model, params, train, options);
 * await robustFinetune({ ...recipe, method: { name: "catRs", ...settings } }, train, { softLabels });
 */
export async function makeSoftLabels(
  model: Model,
  params: HostTensors,
  data: ImageDataset,
  options: SoftLabelOptions,
): Promise<HostTensor> {
  checkOptions("makeSoftLabels", options, {
    executor: "executor",
    sigma: true,
    file: "text",
    onProgress: "function",
    signal: "signal",
  });
  const { executor, sigma, file, onProgress, signal } = options;
  const classes = model.numClasses;
  const labels = new Float32Array(data.length * classes);
  const [known, width] = await kept(file, labels);
  if (known > data.length || (known > 0 && width !== classes))
    throw new DmaeError(
      "file",
      `makeSoftLabels: ${file} has softLabels [${known}, ${width}], ${data.name} needs [${data.length}, ${classes}]`,
      { file },
    );
  const tensor = (length: number): HostTensor => ({
    dtype: "float32",
    shape: [length, classes],
    data: labels.subarray(0, length * classes),
  });
  if (known === data.length) return tensor(known);
  const votes = await prepareVotes(model, params, executor);
  const every = Math.max(1000, Math.ceil(data.length / 50)); // images between two files
  let done = known;
  const keep = () =>
    saveSafetensors(file, { softLabels: tensor(done) }, { copies: String(copies) });
  try {
    while (done < data.length && !signal?.aborted) {
      const { image } = await data.get(done);
      labels.set(await votes.of(image, done, sigma), done * classes);
      done++;
      onProgress?.(done, data.length);
      if (done % every === 0 && done < data.length) await keep();
    }
    if (done > known) await keep();
  } finally {
    votes.dispose();
  }
  signal?.throwIfAborted();
  return tensor(done);
}

/** Soft labels from a file, `[rows, K]`. */
export async function readSoftLabels(file: string): Promise<HostTensor> {
  const checkpoint = await loadCheckpoint(file);
  try {
    if (checkpoint.names.includes("softLabels")) return await checkpoint.read("softLabels");
    throw new DmaeError(
      "file",
      `soft labels: ${file} must hold a tensor softLabels, got ${checkpoint.names.slice(0, 4).join(", ") || "none"}`,
      { file },
    );
  } finally {
    await checkpoint.close();
  }
}

/** Reads the rows that a file holds into `labels`, as far as they fit, and tells its shape. */
async function kept(file: string, labels: Float32Array): Promise<readonly [number, number]> {
  if (!existsSync(file)) return [0, 0];
  const { shape, data } = await readSoftLabels(file);
  const [rows = 0, width = 0] = shape;
  labels.set((data as Float32Array).subarray(0, labels.length));
  return [rows, width];
}

/** The classifier with 100 copies of an image as its batch, and the share of each class as its answer. */
async function prepareVotes(model: Model, params: HostTensors, executor: Executor) {
  const classes = model.numClasses;
  const votes = await executor.prepareFunction({
    fn: ({ images, ...rest }) => {
      const { logits } = model.apply(rest, images!);
      return { votes: tf.sum(tf.oneHot(tf.cast(tf.argMax(logits, 1), "int32"), classes), 0) };
    },
    specs: { images: [copies, ...model.imageShape] },
    constants: params,
  });
  return {
    dispose: () => votes.dispose(),
    async of(image: ArrayLike<number>, index: number, sigma: number): Promise<Float32Array> {
      const images = new Float32Array(copies * image.length);
      for (let copy = 0; copy < copies; copy++) {
        const row = images.subarray(copy * image.length, (copy + 1) * image.length);
        row.set(image);
        const copyKey = foldIn(key("soft labels"), copy);
        normal(copyKey, row, { index, mean: row, standardDeviation: sigma });
      }
      const result = await votes({ images });
      return Float32Array.from(result.votes!.data, (count) => Number(count) / copies);
    },
  };
}
