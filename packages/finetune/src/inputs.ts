import {
  type Batch,
  foldIn,
  type HostTensor,
  type HostTensors,
  type Key,
  uniform,
} from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { generator } from "@dmae/core/random";
import type { Model } from "@dmae/nn";
import { batchNoise, type NoisyBatch, noiseKeys, prefixed, scalarTensors } from "@dmae/train/tasks";
import { drawDropPath, dropPathRates } from "./drop-path.ts";
import { drawMixing, mixingInputs, softTargets } from "./mixing.ts";
import { type FinetuneRecipe, methodOf, mixes, sigmaRange } from "./recipe.ts";
import { softLabelsOf } from "./soft-labels.ts";

/** Options of {@link finetuneInputs}. */
export interface FinetuneInputOptions {
  /** The run's key. */
  readonly key: Key;
  /** Micro-batch, from 0. */
  readonly step: number;
  /** Epoch, from 0. */
  readonly epoch: number;
  /** What the draws depend on: a ViT's configuration has it. */
  readonly model: InputShape;
  /** `[N, K]`: fixed soft labels of the whole data set, one row for each image, for methods that need them. */
  readonly softLabels?: HostTensor | undefined;
}

/** Sizes of a classifier. */
export interface InputShape {
  /** Side of the images when they are mixed. */
  readonly imageSize: number;
  readonly numClasses: number;
  /** Transformer blocks; 0 for a model without stochastic depth. */
  readonly depth: number;
}

/**
 * The inputs of a fine-tuning step over one batch: images, noise for each copy, targets, the method's schedule, and where
 * the recipe has them sigmas, mixing, drop path, uniform draws and soft labels. Noise, sigma, drop path and uniform draws
 * of an image depend on the key, the epoch, the image's index and the copy alone.
 */
export function finetuneInputs(
  recipe: FinetuneRecipe<Model>,
  batch: NoisyBatch,
  options: FinetuneInputOptions,
): HostTensors {
  checkOptions("finetuneInputs", options, {
    key: true,
    step: true,
    epoch: true,
    model: true,
    softLabels: true,
  });
  const { key, step, epoch, model, softLabels } = options;
  const method = methodOf(recipe);
  const { copies } = method;
  const shape = [batch.size, ...batch.imageShape];
  const rows = copies * batch.size;
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
    const { mixup, cutmix, mixProbability, switchProbability } = recipe;
    const { imageSize } = model;
    mixing = drawMixing(next, { mixup, cutmix, mixProbability, switchProbability, imageSize });
    Object.assign(inputs, mixingInputs(mixing, model.imageSize));
  }
  const targetRows = mixes(recipe) ? rows : batch.size;
  const labels = Array.from({ length: targetRows }, (_, row) => batch.labels[row % batch.size]!);
  inputs.targets = softTargets(labels, model.numClasses, recipe.labelSmoothing, mixing);
  for (let pass = 0; recipe.dropPath > 0 && pass < method.passes; pass++) {
    const dropKey = foldIn(foldIn(key, dropPathName(pass)), epoch);
    const keys = Array.from({ length: copies }, (_, copy) => foldIn(dropKey, copy));
    const draws = Array.from({ length: rows }, (_, row) => ({
      key: keys[Math.floor(row / batch.size)]!,
      index: batch.indices[row % batch.size]!,
    }));
    const rates = dropPathRates(recipe.dropPath, model.depth);
    inputs[dropPathInput(pass)] = drawDropPath(rates, draws);
  }
  if (method.draws.includes("uniform")) inputs.uniform = drawUniform(batch, key, epoch);
  if (method.needsSoftLabels) inputs.softLabels = softLabelsOf(batch, softLabels, model.numClasses);
  return { ...inputs, ...prefixed("schedule.", scalarTensors(method.schedule(epoch))) };
}

const dropPathName = (pass: number) => (pass === 0 ? "drop-path" : `drop-path-${pass}`);

/** The name of the drop-path draws of training pass `pass` among the inputs. */
export const dropPathInput = (pass: number): string =>
  pass === 0 ? "dropPath" : `dropPath${pass}`;

/** One uniform in [0, 1) for each image, `[B]`. */
function drawUniform({ indices, size }: Batch, key: Key, epoch: number): HostTensor {
  const epochKey = foldIn(foldIn(key, "uniform"), epoch);
  const data = Float32Array.from(indices, (index) => uniform(epochKey, 1, { index })[0]!);
  return { dtype: "float32", shape: [size], data };
}

/** `[B]`; the copies of an image share their sigma. */
function drawSigmas(
  { sigma, sigmaPer }: FinetuneRecipe<Model>,
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
  const data = Float32Array.from({ length: batch.size }, (_, row) => draw(row));
  return { dtype: "float32", shape: [data.length], data };
}
