import { DmaeError, foldIn, type ImageDataset, key as keyOf } from "@dmae/core";
import { checkOptions, datasetName, refusePromise } from "@dmae/core/checks";
import { permutation } from "@dmae/core/random";
import type { PixelDataset } from "./dataset.ts";
import { subset, viewName } from "./views.ts";

/** Options of {@link sample}. */
export interface SampleOptions {
  /** The choice follows from it; default 0. */
  readonly seed?: number | bigint | string | undefined;
}

/**
 * `count` images drawn at random, each class in proportion to its size (stratified), in their old order. `take` of a
 * folder gives the first classes only, because its images are sorted by class.
 *
 * @param count images in the result; the classes' shares are rounded by largest remainder
 * @throws DmaeError "argument" if the data set has fewer images, or labels that cannot be read without decoding
 *
 * @example
 * const some = sample(await loadImageFolder("photos"), 1000, { seed: 0 });
 */
export function sample<Dataset extends ImageDataset>(
  dataset: Dataset,
  count: number,
  options: SampleOptions = {},
): Dataset {
  checkOptions("sample", options, { seed: "seed" });
  refusePromise("sample", dataset);
  if (!Number.isInteger(count) || count < 0 || count > dataset.length)
    throw new DmaeError(
      "argument",
      `sample: count must be an integer in [0, ${dataset.length}], got ${count}`,
    );
  return subset(
    dataset,
    drawn("sample", dataset, count, options.seed ?? 0),
    viewName(dataset, `[~${count}${seedOf(options)}]`),
  );
}

/** Options of {@link splitDataset}. */
export interface SplitOptions extends SampleOptions {
  /** Share of the images in the test set, in (0, 1); default 0.2. */
  readonly test?: number | undefined;
}

/**
 * Splits one data set into training and test images at random, each class in proportion (stratified).
 *
 * @example
 * const { train, test } = splitDataset(await loadImageFolder("photos", { size: 32 }), { test: 0.2, seed: 0 });
 */
export function splitDataset<Dataset extends ImageDataset>(
  dataset: Dataset,
  options: SplitOptions = {},
): { train: Dataset; test: Dataset } {
  checkOptions("splitDataset", options, { seed: "seed", test: true });
  refusePromise("splitDataset", dataset);
  const { test: share = 0.2, seed = 0 } = options;
  if (!(typeof share === "number" && share > 0 && share < 1))
    throw new DmaeError("argument", `splitDataset: test must lie in (0, 1), got ${share}`);
  const count = Math.round(share * dataset.length);
  if (count === 0 || count === dataset.length)
    throw new DmaeError(
      "argument",
      `splitDataset: test must leave images on both sides, got ${share} of ${dataset.length} images`,
    );
  const chosen = drawn("splitDataset", dataset, count, seed);
  const part = `${share === 0.2 ? "" : `~${share}`}${seedOf(options)}`;
  const inTest = new Set(chosen);
  const others = Array.from({ length: dataset.length }, (_, i) => i).filter((i) => !inTest.has(i));
  return {
    train: subset(dataset, others, viewName(dataset, `/train${part}`)),
    test: subset(dataset, chosen, viewName(dataset, `/test${part}`)),
  };
}

/** The seed as part of a name, by which run folders and logs tell data sets apart; nothing for the default. */
const seedOf = ({ seed = 0 }: SampleOptions) => (String(seed) === "0" ? "" : `#${seed}`);

/** Positions of a stratified choice, in ascending order. */
function drawn(
  caller: string,
  dataset: ImageDataset,
  count: number,
  seed: number | bigint | string,
): number[] {
  const byLabel = new Map<number, number[]>();
  for (let index = 0; index < dataset.length; index++) {
    const label = labelOf(caller, dataset, index);
    const known = byLabel.get(label);
    if (known) known.push(index);
    else byLabel.set(label, [index]);
  }
  const labels = [...byLabel.keys()].sort((a, b) => a - b);
  const quotas = largestRemainder(
    labels.map((label) => byLabel.get(label)!.length),
    count,
  );
  const root = foldIn(keyOf(seed), "sample");
  const chosen = labels.flatMap((label, i) => {
    const indices = byLabel.get(label)!;
    const order = permutation(foldIn(root, label), indices.length);
    return Array.from(order.subarray(0, quotas[i]), (position) => indices[position]!);
  });
  return chosen.sort((a, b) => a - b);
}

/** Whole parts of `count` in proportion to `sizes`. */
function largestRemainder(sizes: readonly number[], count: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const exact = sizes.map((size) => (count * size) / total);
  const parts = exact.map(Math.floor);
  const missing = count - parts.reduce((sum, part) => sum + part, 0);
  const order = exact
    .map((_, i) => i)
    .sort((a, b) => exact[b]! - parts[b]! - (exact[a]! - parts[a]!));
  for (const i of order.slice(0, missing)) parts[i]!++;
  return parts;
}

/** The label of an image, read without decoding it. */
function labelOf(caller: string, dataset: ImageDataset, index: number): number {
  const { locate, pixels } = dataset as Partial<PixelDataset>;
  if (locate) return locate.call(dataset, index).label;
  const item = pixels ? pixels.call(dataset, index) : dataset.get(index);
  if (!(item instanceof Promise)) return item.label;
  item.catch(() => {});
  throw new DmaeError(
    "argument",
    `${caller}: ${datasetName(dataset)} must know its labels without reading images; choose positions yourself, with subset(dataset, indices)`,
  );
}
