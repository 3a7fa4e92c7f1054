import { type ImageDataset, key, uniform } from "@dmae/core";
import { identityOf, type PreparedClassifier } from "../classifier/classifier.ts";
import type { Range } from "../classifier/range.ts";
import { sha256 } from "../classifier/sha256.ts";

/** Probe images on which a classifier's answers are part of its fingerprint, and rows of their batches. */
const PROBES = 64;
const ROWS = 16;

/** Images of a data set that are part of its fingerprint. */
const IMAGES = 8;

/** What the fingerprint of a classifier depends on. */
export interface FingerprintSettings {
  readonly imageShape: readonly number[];
  readonly range: Range;
  /** Given by the user, on top of what the classifier says of itself. */
  readonly given: string | undefined;
  /** Random classifiers have no fixed answers. */
  readonly randomized: boolean;
}

/**
 * A fingerprint of a classifier for its logs: SHA-256, cut to 128 bits, of what it says of itself (for the
 * wrappers their files and preprocessing), the shape of its input, and its classes on 64 fixed images.
 * It costs 64 classified images a run. Two functions of one name that agree on all probes look the same.
 */
export async function classifierFingerprint(
  classifier: PreparedClassifier,
  { imageShape, range, given, randomized }: FingerprintSettings,
): Promise<string> {
  const classes = randomized ? [] : await classesOfProbes(classifier, imageShape, range);
  const parts = [identityOf(classifier.traits), given ?? "", imageShape, classes];
  return (await sha256(JSON.stringify(parts))).slice(0, 32);
}

async function classesOfProbes(
  { traits, classify }: PreparedClassifier,
  imageShape: readonly number[],
  range: Range,
): Promise<number[]> {
  const size = imageShape.reduce((product, length) => product * length, 1);
  const rows = traits.fixedBatchSize ?? ROWS;
  const classes: number[] = [];
  for (let first = 0; first < PROBES; first += rows) {
    const batch = new Float32Array(rows * size);
    for (let row = 0; row < rows; row++)
      drawProbe(batch.subarray(row * size, (row + 1) * size), (first + row) % PROBES, range);
    classes.push(...(await classify(batch, [rows, ...imageShape])).classes);
  }
  return classes.slice(0, PROBES);
}

/** Uniform pixels in runs of 1, 2, 4 … 128: models answer plain noise with one class. */
function drawProbe(out: Float32Array, index: number, [low, high]: Range): void {
  const drawn = new Float64Array(out.length);
  uniform(key("smoothing-certify/probes"), drawn, { index, low, high });
  const run = 2 ** (index % 8);
  for (let i = 0; i < out.length; i++) out[i] = drawn[Math.floor(i / run)]!;
}

/**
 * A fingerprint of a data set: SHA-256, cut to 128 bits, of its length, shape and number of classes, and of 8
 * images with their labels, spread over it. It does not see a change of the other images.
 */
export async function dataFingerprint(dataset: ImageDataset): Promise<string> {
  const { length, imageShape, numClasses } = dataset;
  const parts: (Uint8Array | string)[] = [JSON.stringify([length, imageShape, numClasses])];
  for (let i = 0; i < IMAGES; i++) parts.push(...(await readParts(dataset, i)));
  return (await sha256(...parts)).slice(0, 32);
}

/** An image that cannot be read is reported where it is certified. */
async function readParts(dataset: ImageDataset, i: number): Promise<(Uint8Array | string)[]> {
  try {
    const { image, label } = await dataset.get(Math.floor((i * dataset.length) / IMAGES));
    return [new Uint8Array(Float32Array.from(image).buffer), `/${label}/`];
  } catch {
    return ["/unreadable/"];
  }
}
