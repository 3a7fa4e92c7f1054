import { foldIn, type HostTensors, type Key, uniform } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { batchNoise, type NoisyBatch, noiseKeys } from "@dmae/train/tasks";
import { randomMasking } from "./masking.ts";

/** Options of {@link pretrainInputs}. */
export interface PretrainInputOptions {
  /** The run's key. */
  readonly key: Key;
  /** Epoch, from 0. */
  readonly epoch: number;
  /** Patches in an image. */
  readonly length: number;
  /** Share of the patches that are hidden. */
  readonly maskRatio: number;
}

/**
 * The inputs of a pass over one batch. Noise and masking of an image depend on the key, the epoch and the image's
 * index alone, not on the batch it is in.
 */
export function pretrainInputs(batch: NoisyBatch, options: PretrainInputOptions): HostTensors {
  checkOptions("pretrainInputs", options, {
    key: true,
    epoch: true,
    length: true,
    maskRatio: true,
  });
  const { key, epoch, length, maskRatio } = options;
  const shape = [batch.size, ...batch.imageShape];
  const maskKey = foldIn(foldIn(key, "mask"), epoch);
  const order = new Float64Array(batch.size * length);
  batch.indices.forEach((index, row) => {
    uniform(maskKey, order.subarray(row * length, (row + 1) * length), { index });
  });
  return {
    images: { dtype: "float32", shape, data: batch.images },
    noise: { dtype: "float32", shape, data: batchNoise(batch, noiseKeys(key, 1)(epoch)) },
    ...randomMasking(order, { length, maskRatio }),
  };
}
