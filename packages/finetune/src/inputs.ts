import {
  type Batch,
  foldIn,
  generator,
  type HostTensor,
  type HostTensors,
  type Key,
  uniform,
} from "@dmae/core";
import { batchNoise, type NoisyBatch, noiseKeys } from "@dmae/train";
import type { ViTConfig } from "@dmae/vit";
import { drawDropPath, dropPathRates } from "./drop-path.ts";
import { drawMixing, mixingInputs, softTargets } from "./mixing.ts";
import { type FinetuneRecipe, mixes, sigmaRange } from "./recipe.ts";

/** Options of {@link finetuneInputs}. */
export interface FinetuneInputOptions {
  /** The run's key. */
  readonly key: Key;
  /** Micro-batch, from 0. */
  readonly step: number;
  /** Epoch, from 0. */
  readonly epoch: number;
  /** The classifier's configuration. */
  readonly config: ViTConfig;
}

/**
 * The inputs of a fine-tuning step over one batch: images, noise for each copy, targets, and where the recipe has
 * them sigmas, mixing and drop path. Noise, sigma and drop path of an image depend on the key, the epoch, the
 * image's index and the copy alone.
 */
export function finetuneInputs(
  recipe: FinetuneRecipe,
  batch: NoisyBatch,
  { key, step, epoch, config }: FinetuneInputOptions,
): HostTensors {
  const { copies } = recipe;
  const shape = [batch.size, ...batch.imageShape];
  const rows = copies * batch.size;
  const labels = Array.from({ length: rows }, (_, row) => batch.labels[row % batch.size]!);
  const inputs: Record<string, HostTensor> = {
    images: { dtype: "float32", shape, data: batch.images },
    noise: {
      dtype: "float32",
      shape: [rows, ...batch.imageShape],
      data: batchNoise(batch, noiseKeys(key, copies)(epoch)),
    },
  };
  if (typeof recipe.sigma !== "number") inputs.sigma = drawSigmas(recipe, batch, key, step, epoch);
  let mixing: Parameters<typeof softTargets>[3];
  if (mixes(recipe)) {
    const next = generator(foldIn(foldIn(key, "mix"), step));
    mixing = drawMixing(next, { ...recipe, imageSize: config.imageSize });
    Object.assign(inputs, mixingInputs(mixing, config.imageSize));
  }
  inputs.targets = softTargets(labels, config.numClasses, recipe.labelSmoothing, mixing);
  if (recipe.dropPath > 0) {
    const dropKey = foldIn(foldIn(key, "drop-path"), epoch);
    const keys = Array.from({ length: copies }, (_, copy) => foldIn(dropKey, copy));
    const draws = Array.from({ length: rows }, (_, row) => ({
      key: keys[Math.floor(row / batch.size)]!,
      index: batch.indices[row % batch.size]!,
    }));
    inputs.dropPath = drawDropPath(dropPathRates(recipe.dropPath, config.depth), draws);
  }
  return inputs;
}

/** `[copies * B]`; the copies of an image share their sigma. */
function drawSigmas(
  { sigma, sigmaPer, copies }: FinetuneRecipe,
  batch: Batch,
  key: Key,
  step: number,
  epoch: number,
): HostTensor {
  const [low, high] = sigmaRange(sigma);
  const sigmaKey = foldIn(key, "sigma");
  const epochKey = foldIn(sigmaKey, epoch);
  const draw = (row: number) => {
    const [from, index] = sigmaPer === "batch" ? [sigmaKey, step] : [epochKey, batch.indices[row]!];
    return low + (high - low) * uniform(from, new Float64Array(1), { index })[0]!;
  };
  const values = Array.from({ length: batch.size }, (_, row) => draw(row));
  const data = Float32Array.from(
    { length: copies * batch.size },
    (_, i) => values[i % batch.size]!,
  );
  return { dtype: "float32", shape: [data.length], data };
}
