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
import { type FileLock, lockFile } from "@dmae/core/files";
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
  /** Called after each image, and with what is there while another process makes the same file. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Stops with the signal's reason; what is done is kept, as it is after an error. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The soft labels that CAT-RS needs: how often a classifier, trained under Gaussian noise, answers each class to
 * 100 noisy copies of an image. The noise depends on the index of the image and the copy alone. Of several processes
 * that name the same file one makes it, and the others wait for it.
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
  const { sigma, file, onProgress, signal } = options;
  const origin = await originOf(params, data, sigma);
  const labels = new Float32Array(data.length * model.numClasses);
  const work: Work = { model, params, data, options, labels, origin };
  if ((await kept(file, labels, origin)) < data.length) {
    const onWait = async () => onProgress?.(await rowsIn(file), data.length);
    const wait = { caller: "makeSoftLabels", guarded: file, wait: true, signal, onWait };
    const lock = await lockFile(`${file}.lock`, wait);
    try {
      await makeRest(work, lock);
    } finally {
      await lock.release();
    }
  }
  return firstRows(work, data.length);
}

/** What is made, of what, into what. */
interface Work {
  readonly model: Model;
  readonly params: HostTensors;
  readonly data: ImageDataset;
  readonly options: SoftLabelOptions;
  /** The labels of all images. */
  readonly labels: Float32Array;
  /** See {@link originOf}. */
  readonly origin: Readonly<Record<string, string>>;
}

/** The labels of the first images. */
function firstRows({ model, labels }: Work, rows: number): HostTensor {
  const shape = [rows, model.numClasses];
  return { dtype: "float32", shape, data: labels.subarray(0, rows * model.numClasses) };
}

/** Makes the labels that the file does not hold, and keeps them in it, whatever it is that stops it. */
async function makeRest(work: Work, lock: FileLock): Promise<void> {
  const { model, params, data, options, labels, origin } = work;
  const { executor, sigma, file, onProgress, signal } = options;
  const known = await kept(file, labels, origin); // another process may have gone on with it
  if (known === data.length) return;
  const votes = await prepareVotes(model, params, executor);
  const every = Math.max(1000, Math.ceil(data.length / 50)); // images between two files
  let [done, saved] = [known, known];
  const keep = async () => {
    await lock.check();
    await saveSafetensors(file, { softLabels: firstRows(work, done) }, origin);
    saved = done;
  };
  try {
    while (done < data.length) {
      signal?.throwIfAborted();
      const { image } = await data.get(done);
      labels.set(await votes.of(image, done, sigma), done * model.numClasses);
      done++;
      onProgress?.(done, data.length);
      if (done === data.length || done - saved >= every) await keep();
    }
  } catch (error) {
    if (done > saved) await keep().catch(() => {}); // the first error is the one to report
    throw error;
  } finally {
    votes.dispose();
  }
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

/** How many rows a file holds, without reading them. */
async function rowsIn(file: string): Promise<number> {
  if (!existsSync(file)) return 0;
  const checkpoint = await loadCheckpoint(file);
  try {
    return checkpoint.spec("softLabels").shape[0] ?? 0;
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
