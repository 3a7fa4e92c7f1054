import { DmaeError, type FloatArray } from "@dmae/core";
import type { PreparedClassifier } from "../../classifier/classifier.ts";
import { readNumbers } from "../../classifier/outputs.ts";
import { isTensor } from "../../classifier/tensors.ts";
import type { Seed } from "../../noise/fresh-seed.ts";
import { noiseSource } from "../../noise/noise.ts";

/**
 * The gradient of a loss of the smoothed classifier, e.g. `-ln mean_i softmax(f(x_i))_label` (SmoothAdv), with
 * respect to each of the noisy copies `[n, …shape]`: a tensor or numbers of the same size.
 */
export type SmoothedGradient = (batch: Float32Array, shape: number[], label: number) => unknown;

/** What the search for a perturbation asks of the classifier. */
export interface VoteSettings {
  readonly classifier: PreparedClassifier;
  readonly shape: readonly number[];
  readonly sigma: number;
  readonly seed: Seed;
  /** Index of the input, part of the address of the noise. */
  readonly index: number;
  /** Noisy copies of a point. */
  readonly samples: number;
  readonly gradient?: SmoothedGradient | undefined;
}

/** Share of the votes for `label` at a point, and where it falls fastest. */
export interface Slope {
  readonly share: number;
  readonly ascent: Float64Array;
}

/**
 * Votes of noisy copies of a point, the same noise at each point. Without a gradient of the classifier the slope is
 * that of the votes themselves, by Stein's lemma: `grad P(f(x + e) = c) = E[1(f(x + e) = c) e] / sigma^2`.
 */
export async function slopeAt(
  settings: VoteSettings,
  point: FloatArray,
  label: number,
): Promise<Slope> {
  const { classifier, shape, sigma, seed, index, samples, gradient } = settings;
  const size = point.length;
  const noise = noiseSource({ sigma, seed });
  const ascent = new Float64Array(size);
  const rows = Math.min(samples, classifier.traits.fixedBatchSize ?? 128);
  let votes = 0;
  for (let first = 0; first < samples; first += rows) {
    const count = Math.min(rows, samples - first);
    const batch = new Float32Array((classifier.traits.fixedBatchSize ?? count) * size);
    noise.fill(batch, point, { image: index, stage: "estimation", first, count });
    const sent = batch.slice(); // the classifier may write to it
    const { classes } = await classifier.classify(sent, [sent.length / size, ...shape]);
    const isOther = (row: number) => classes[row] !== label;
    const others = Array.from({ length: count }, (_, row) => row).filter(isOther).length;
    votes += count - others;
    if (gradient)
      await addGradient(ascent, gradient, batch.slice(0, count * size), settings, label);
    else
      for (let row = 0; row < count; row++) {
        const sign = isOther(row) ? 1 : 0;
        const weight = sign - others / count; // the mean taken off: less variance, the same mean
        for (let i = 0; i < size; i++) ascent[i]! += weight * (batch[row * size + i]! - point[i]!);
      }
  }
  return { share: votes / samples, ascent };
}

/** What the gradient throws becomes a typed error that keeps the cause. */
async function called(gradient: () => unknown): Promise<unknown> {
  try {
    return await gradient();
  } catch (cause) {
    if (DmaeError.isInstance(cause)) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("classifier", `attack: gradient threw: ${message}`, {}, { cause });
  }
}

/** A copy moves with the point, so the gradient at the point is the sum over copies. */
async function addGradient(
  ascent: Float64Array,
  gradient: SmoothedGradient,
  batch: Float32Array,
  { shape }: VoteSettings,
  label: number,
): Promise<void> {
  const size = ascent.length;
  const returned = await called(() => gradient(batch, [batch.length / size, ...shape], label));
  const { values } = isTensor(returned)
    ? await readNumbers(returned)
    : { values: returned as ArrayLike<number> };
  if (values?.length !== batch.length)
    throw new DmaeError(
      "classifier",
      `attack: gradient must return as many numbers as the batch has, ${batch.length}, got ${values?.length ?? String(returned)}`,
    );
  for (let i = 0; i < batch.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value))
      throw new DmaeError(
        "classifier",
        `attack: gradient must return finite numbers, got ${value} at element ${i}`,
      );
    ascent[i % size]! += value;
  }
}
