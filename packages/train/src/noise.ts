import { type Batch, DmaeError, foldIn, type Key, normal } from "@dmae/core";

/** A batch that may bring its noise along, drawn ahead of the step by the threads of a loader. */
export interface NoisyBatch extends Batch {
  /** Standard normals `[copies * B, H, W, C]`, the whole batch copy after copy; see {@link noiseKeys}. */
  readonly noise?: Float32Array;
}

/**
 * The keys that training draws its Gaussian noise from: one for each noisy copy of the batch, in each epoch. Row
 * `copy * B + i` is `normal(keys[copy], …, { index: indices[i] })`, so that the noise of an image does not depend on
 * the batch it is in.
 *
 * @param key the key given to `pretrain`, `robustFinetune` or `linearProbe`
 * @param copies noisy copies of each image: the recipe's, 1 in pre-training and probing
 * @returns what `batchLoader` of `@dmae/datasets` takes as `noiseKeys`, to draw the noise in its threads
 *
 * @example
 * const loader = batchLoader(train, { batchSize: 64, dropLast: true, workers: 4, noiseKeys: noiseKeys(key(0), 2), … });
 */
export function noiseKeys(key: Key, copies: number): (epoch: number) => Key[] {
  const noise = foldIn(key, "noise");
  return (epoch) => {
    const inEpoch = foldIn(noise, epoch);
    return Array.from({ length: copies }, (_, copy) => foldIn(inEpoch, copy));
  };
}

/**
 * The noise of a batch: that which it brought along, or drawn now.
 *
 * @param keys those of the epoch, see {@link noiseKeys}
 * @returns `[copies * B, H, W, C]`
 * @throws DmaeError "argument" for noise of another length, or drawn from other keys (one value of each copy is compared)
 */
export function batchNoise(batch: NoisyBatch, keys: readonly Key[]): Float32Array {
  const length = keys.length * batch.images.length;
  const pixels = batch.images.length / batch.size;
  const given = batch.noise;
  if (given === undefined) {
    const noise = new Float32Array(length);
    keys.forEach((key, copy) => {
      batch.indices.forEach((index, i) => {
        const start = (copy * batch.size + i) * pixels;
        normal(key, noise.subarray(start, start + pixels), { index });
      });
    });
    return noise;
  }
  if (given.length !== length)
    throw new DmaeError(
      "argument",
      `batchNoise: noise must hold ${length} values (${keys.length} copies of the batch), got ${given.length}`,
    );
  keys.forEach((key, copy) => {
    const [expected] = normal(key, 1, { index: batch.indices[0]! });
    if (given[copy * batch.images.length] !== expected)
      throw new DmaeError(
        "argument",
        "batchNoise: the batch must be drawn from the keys of this run, got other values; " +
          "give the loader noiseKeys: noiseKeys(key, copies) with the key and the copies of the run",
      );
  });
  return given;
}
