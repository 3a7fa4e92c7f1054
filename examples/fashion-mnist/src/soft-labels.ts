import { existsSync } from "node:fs";
import { loadCheckpoint, saveSafetensors } from "@dmae/checkpoint";
import type { ConvNet } from "@dmae/convnet";
import { DmaeError, foldIn, type HostTensor, type ImageDataset, key, normal } from "@dmae/core";
import type { Executor } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";

/** Noisy copies of each image that vote; the official soft labels count 10,000. */
const COPIES = 100;

/**
 * The soft labels of CAT-RS, `[N, K]`: how often a classifier trained by Gaussian augmentation at sigma 0.25 answers each
 * class under that noise. They are kept in `file`; the official code takes the same ones at every sigma.
 *
 * @param trained folder of the finished row `gaussian-0.25`
 */
export async function softLabels(
  model: ConvNet,
  data: ImageDataset,
  { trained, file, executor }: { trained: string; file: string; executor: Executor },
): Promise<HostTensor> {
  if (existsSync(file)) return read(file, "softLabels");
  if (!existsSync(`${trained}/model.safetensors`))
    throw new DmaeError(
      "argument",
      `catRs: soft labels come from the finished row gaussian-0.25, got none in ${trained}; run --row gaussian-0.25 first`,
    );
  const names = Object.keys(model.initHost(key(0)));
  const weights = `${trained}/model.safetensors`;
  const params: Record<string, HostTensor> = {};
  for (const name of names) params[name] = await read(weights, name);
  const [height, width, channels] = model.imageShape;
  const classes = model.numClasses;
  const votes = await executor.prepareFunction({
    fn: ({ images, ...rest }) => {
      const { logits } = model.apply(rest, images!);
      return { votes: tf.sum(tf.oneHot(tf.cast(tf.argMax(logits, 1), "int32"), classes), 0) };
    },
    specs: { images: [COPIES, height, width, channels] },
    constants: params,
  });
  const counts = new Float32Array(data.length * classes);
  for (let index = 0; index < data.length; index++) {
    const { image } = await data.get(index);
    const images = new Float32Array(COPIES * image.length);
    for (let copy = 0; copy < COPIES; copy++) {
      const row = images.subarray(copy * image.length, (copy + 1) * image.length);
      row.set(image);
      const copyKey = foldIn(key("soft labels"), copy);
      normal(copyKey, row, { index, mean: row, standardDeviation: 0.25 });
    }
    const result = await votes({ images });
    const shares = Float32Array.from(result.votes!.data, (count) => Number(count) / COPIES);
    counts.set(shares, index * classes);
  }
  votes.dispose();
  const made: HostTensor = { dtype: "float32", shape: [data.length, classes], data: counts };
  await saveSafetensors(file, { softLabels: made }, { copies: String(COPIES), from: trained });
  return made;
}

async function read(file: string, name: string): Promise<HostTensor> {
  const checkpoint = await loadCheckpoint(file);
  const tensor = await checkpoint.read(name);
  await checkpoint.close();
  return tensor;
}
