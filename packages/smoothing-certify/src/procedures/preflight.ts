import type { ImageDataset } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkNumbers } from "../checks.ts";
import { type Classifier, prepareClassifier } from "../classifier/classifier.ts";
import { Breather } from "../run/breather.ts";
import { checkDataset, readChecked, selectIndices } from "../run/dataset-selection.ts";
import { batchSizerOf, checkSampling, inDimension, noiseOf, withSeed } from "../run/options.ts";
import { certificateOf } from "../statistics/certificate.ts";
import { type CertifyOptions, certifyNames, certifySettings } from "./certify.ts";
import { type AdaptiveDatasetOptions, adaptiveNames } from "./certify-adaptive.ts";
import { type AtRadiusDatasetOptions, atRadiusDatasetNames } from "./certify-at-radius.ts";
import type { CertifySettings } from "./certify-procedure.ts";

/** Options of {@link preflight}: those of the run, and how many images to look at. */
export interface PreflightOptions
  extends CertifyOptions,
    AdaptiveDatasetOptions,
    Omit<AtRadiusDatasetOptions, "radius"> {
  /** Images to look at; default 16, spread over the selection. */
  readonly images?: number | undefined;
  /** A radius that is meant to be certified. */
  readonly radius?: number | undefined;
}

const preflightNames = {
  ...certifyNames,
  ...adaptiveNames,
  ...atRadiusDatasetNames,
  images: true,
} satisfies OptionNames<PreflightOptions>;

/** What is known before a run. */
export interface PreflightReport {
  /**
   * The radius of an image on which all n votes agree, in the run's norm: nothing beyond can be
   * certified.
   */
  readonly largestRadius: number;
  /** Accuracy without noise, on the images looked at. */
  readonly cleanAccuracy: number;
  /** Accuracy on one noisy copy of each. */
  readonly noisyAccuracy: number;
  /** Smallest and largest pixel. */
  readonly pixels: readonly [low: number, high: number];
  /** Number of images looked at. */
  readonly images: number;
  /** What looks wrong, each in one sentence; empty where nothing does. */
  readonly warnings: readonly string[];
}

/**
 * Looks at a run before hours are spent on it: which radius n and alpha can reach at all, clean and
 * noisy accuracy on a few images, number and order of classes, pixel range against sigma.
 *
 * @param given the options of the run, which is taken for one of `certifyDatasetAtRadius` with `mode`, `beta` or
 *   `patience`, for an adaptive one with `relativeWidth` or `pilot`, and else for one of CERTIFY
 * @example
 * const { warnings } = await preflight(classify, test, { sigma: 0.25, n: 10_000 });
 */
export async function preflight(
  classifier: Classifier,
  dataset: ImageDataset,
  given: PreflightOptions,
): Promise<PreflightReport> {
  checkOptions("preflight", given, preflightNames);
  checkSampling("preflight", given);
  const { images = 16, radius = 1 } = given;
  checkNumbers("preflight", { images, radius });
  const { n, alpha } = samplesOf(given);
  const options = { ...given, n };
  checkDataset("preflight", dataset);
  const known = inDimension(options, dataset.imageShape);
  const settings = { ...certifySettings("preflight", { ...options, alpha }), ...known };
  const selected = selectIndices("preflight", dataset, options);
  const count = Math.min(images, selected.length);
  const indices = Array.from(
    { length: count },
    (_, i) => selected[Math.floor((i * selected.length) / count)]!,
  );
  const looked = await look(classifier, dataset, indices, options);
  const largestRadius = certificateOf(settings, [1], [settings.n, 0]).radius;
  const report = { ...looked, largestRadius, images: count };
  const warnings = warn(report, dataset, options, settings, looked.predicted);
  return { ...report, warnings };
}

/** The most samples of the run, and the share of alpha that its last look has; undefined for CERTIFY's own. */
function samplesOf(options: PreflightOptions) {
  const { n, maxSamples, mode, beta, patience, relativeWidth, pilot, alpha = 0.001 } = options;
  const atRadius = [mode, beta, patience].some((value) => value !== undefined);
  const grows = atRadius || relativeWidth !== undefined || pilot !== undefined;
  return {
    n: n ?? maxSamples ?? (grows ? 100_000 : undefined),
    alpha: atRadius ? alpha / 2 : options.alpha,
  };
}

/** The fewest samples that certify something where all agree. */
function fewestSamples(settings: CertifySettings): number {
  let n = settings.n + 1;
  while (n < MOST_SEARCHED && certificateOf(settings, [1], [n, 0]).radius === 0) n++;
  return n;
}

/** Enough for any alpha: 2^-n is below the smallest float64 long before. */
const MOST_SEARCHED = 10_000;

interface Looked {
  readonly cleanAccuracy: number;
  readonly noisyAccuracy: number;
  readonly pixels: readonly [number, number];
  readonly predicted: readonly number[];
}

async function look(
  classifier: Classifier,
  dataset: ImageDataset,
  indices: readonly number[],
  options: PreflightOptions,
): Promise<Looked> {
  const numClasses = options.numClasses ?? dataset.numClasses;
  const prepared = await prepareClassifier(
    "preflight",
    classifier,
    { ...options, numClasses },
    false,
  );
  const size = dataset.imageShape.reduce((product, length) => product * length, 1);
  const rows = batchSizerOf(options, prepared, size).size;
  const range = [-Number.MAX_VALUE, Number.MAX_VALUE] as const; // others are warned of
  const wanted = { range, numClasses };
  const noise = noiseOf(withSeed(options));
  const seen = {
    clean: 0,
    noisy: 0,
    low: Number.POSITIVE_INFINITY,
    high: Number.NEGATIVE_INFINITY,
  };
  const predicted: number[] = [];
  const breather = new Breather();
  for (let start = 0; start < indices.length; start += rows) {
    await breather.pause();
    options.signal?.throwIfAborted();
    const part = indices.slice(start, start + rows);
    const sent = prepared.traits.fixedBatchSize ?? part.length;
    const clean = new Float32Array(sent * size);
    const noisy = new Float32Array(sent * size);
    const labels: number[] = [];
    for (const [row, index] of part.entries()) {
      const { image, label } = await readChecked("preflight", dataset, index, wanted);
      labels.push(label);
      clean.set(image, row * size);
      for (const pixel of image) {
        seen.low = Math.min(seen.low, pixel);
        seen.high = Math.max(seen.high, pixel);
      }
      const address = { image: index, stage: "selection", first: 0, count: 1 } as const;
      await noise.fill(noisy.subarray(row * size), image, address);
    }
    const shape = [sent, ...dataset.imageShape];
    const onClean = await prepared.classify(clean, shape);
    predicted.push(...onClean.classes.subarray(0, part.length));
    const onNoisy = await prepared.classify(noisy, shape);
    for (const [row, label] of labels.entries()) {
      if (predicted[start + row] === label) seen.clean++;
      if (onNoisy.classes[row] === label) seen.noisy++;
    }
  }
  return {
    cleanAccuracy: seen.clean / indices.length,
    noisyAccuracy: seen.noisy / indices.length,
    pixels: [seen.low, seen.high],
    predicted,
  };
}

function warn(
  report: Omit<PreflightReport, "warnings">,
  dataset: ImageDataset,
  { sigma, radius, n = 10_000, alpha = 0.001 }: PreflightOptions,
  settings: CertifySettings,
  predicted: readonly number[],
): string[] {
  const warnings: string[] = [];
  const { cleanAccuracy, noisyAccuracy, largestRadius, pixels, images } = report;
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  if (largestRadius === 0)
    warnings.push(
      `n = ${n} samples can never certify anything at alpha = ${alpha}, even if all agree: it takes ${fewestSamples(settings)}.`,
    );
  if (radius !== undefined && radius > largestRadius)
    warnings.push(
      `n = ${n} samples reach at most radius ${largestRadius.toPrecision(4)} at sigma = ${sigma} and alpha = ${alpha}, so radius ${radius} cannot be certified.`,
    );
  if (pixels[1] > 10 * Math.max(1, sigma))
    warnings.push(
      `Pixels reach ${pixels[1]}, far above sigma = ${sigma}: sigma is in the units of the pixels, so scale the images to [0, 1].`,
    );
  if (pixels[1] - pixels[0] < sigma / 10)
    warnings.push(
      `Pixels span only [${pixels[0]}, ${pixels[1]}], a fraction of sigma = ${sigma}: nothing of the images is left under this noise.`,
    );
  const chance = 1 / dataset.numClasses;
  if (images >= 8 && cleanAccuracy <= Math.min(0.5, 2 * chance))
    warnings.push(
      `Clean accuracy is ${percent(cleanAccuracy)} on ${images} images, about chance: check the order of the classes, layout and normalization.`,
    );
  else if (images >= 8 && noisyAccuracy < cleanAccuracy / 2)
    warnings.push(
      `Accuracy falls from ${percent(cleanAccuracy)} to ${percent(noisyAccuracy)} under noise of sigma = ${sigma}: the classifier was probably not trained on such noise, and most images will abstain.`,
    );
  if (images >= 8 && dataset.numClasses > 1 && new Set(predicted).size === 1)
    warnings.push(`All ${images} images are predicted as class ${predicted[0]}.`);
  return warnings;
}
