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
import { checkOptions, datasetName } from "@dmae/core/checks";
import type { Executor, Model } from "@dmae/nn";
import { checksum } from "@dmae/train/tasks";
import * as tf from "@tensorflow/tfjs-core";

/** Noisy copies of each image that vote; the official soft labels count 10,000. */
const copies = 100;

/** Options of {@link makeSoftLabels}. */
export interface SoftLabelOptions {
  /** Runs the classifier. */
  readonly executor: Executor;
  /** Standard deviation of the noise, in images in [0, 1]; the official code takes labels of 0.25 at every level. */
  readonly sigma: number;
  /** Where they are kept, with the name `softLabels`, and what made them; a file of the first images is continued. */
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
 * @throws DmaeError "file" for a file that another classifier, noise or data set made
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
  const origin = await originOf(params, data, sigma);
  const known = await kept(file, labels, origin);
  const tensor = (length: number): HostTensor => ({
    dtype: "float32",
    shape: [length, classes],
    data: labels.subarray(0, length * classes),
  });
  if (known === data.length) return tensor(known);
  const votes = await prepareVotes(model, params, executor);
  const every = Math.max(1000, Math.ceil(data.length / 50)); // images between two files
  let done = known;
  const keep = () => saveSafetensors(file, { softLabels: tensor(done) }, origin);
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
  return (await readLabels(file)).softLabels;
}

/** Soft labels from a file, and what made them. */
async function readLabels(file: string) {
  const checkpoint = await loadCheckpoint(file);
  try {
    if (checkpoint.names.includes("softLabels")) {
      const softLabels = await checkpoint.read("softLabels");
      return { softLabels, metadata: checkpoint.metadata };
    }
    throw new DmaeError(
      "file",
      `soft labels: ${file} must hold a tensor softLabels, got ${checkpoint.names.slice(0, 4).join(", ") || "none"}`,
      { file },
    );
  } finally {
    await checkpoint.close();
  }
}

/** What the labels depend on. */
async function originOf(params: HostTensors, data: ImageDataset, sigma: number) {
  const { image } = await data.get(0);
  const first: HostTensor = {
    dtype: "float32",
    shape: [...data.imageShape],
    data: Float32Array.from(image),
  };
  return {
    classifier: checksum(params),
    sigma: String(sigma),
    copies: String(copies),
    data: `${data.length} images of ${datasetName(data)}, the first ${checksum({ first })}`,
  };
}

/** Reads the rows that a file of the same origin holds into `labels`, and tells how many. */
async function kept(
  file: string,
  labels: Float32Array,
  origin: Readonly<Record<string, string>>,
): Promise<number> {
  if (!existsSync(file)) return 0;
  const { softLabels, metadata } = await readLabels(file);
  for (const [name, value] of Object.entries(origin))
    if (metadata[name] !== value)
      throw new DmaeError(
        "file",
        `makeSoftLabels: ${file} must be of the ${name} ${value}, got ${metadata[name] ?? "none"}; name another file, or delete it to make it anew`,
        { file },
      );
  labels.set(softLabels.data as Float32Array);
  return softLabels.shape[0] ?? 0;
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
