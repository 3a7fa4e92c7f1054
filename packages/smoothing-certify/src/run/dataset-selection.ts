import { DmaeError, type FloatArray, type ImageDataset, key } from "@dmae/core";
import type { OptionNames } from "@dmae/core/checks";
import { checkInteger, show } from "../checks.ts";
import { isNumbers, toFloats } from "../classifier/image.ts";
import { checkPixels, type Range } from "../classifier/range.ts";
import type { Shard } from "../log/shard.ts";

/** Which images of a data set are certified. */
export interface SelectionOptions {
  /** Takes every skip-th image, 0, skip, 2 skip …; default 1. */
  readonly skip?: number | undefined;
  /** At most this many images. */
  readonly max?: number | undefined;
  /** These images, in this order, in place of `skip` and `max`. */
  readonly indices?: readonly number[] | undefined;
  /** Takes only every count-th of the selected images, beginning with the index-th. */
  readonly shard?: Shard | undefined;
}

/** The names of {@link SelectionOptions}. */
export const selectionNames = {
  skip: true,
  max: true,
  indices: "list",
  shard: { index: true, count: true },
} satisfies OptionNames<SelectionOptions>;

/** What a list of their indices can hold. */
const MOST_IMAGES = 2 ** 32 - 1;

/** Throws for what is no data set, before it is asked for anything. */
export function checkDataset(caller: string, dataset: ImageDataset): void {
  const fail = (rule: string, got: string): never => {
    throw new DmaeError("argument", `${caller}: the data set must ${rule}, got ${got}`);
  };
  const { get, length, imageShape }: Partial<ImageDataset> = dataset ?? {};
  if (typeof get !== "function")
    fail("have length, imageShape, numClasses and get(index)", show(dataset));
  if (!Number.isSafeInteger(length) || length! < 1 || length! > MOST_IMAGES)
    fail("have images, a whole number of at most 2^32 - 1", `length ${show(length)}`);
  const isShape = Array.isArray(imageShape) && imageShape.length > 0;
  if (!isShape || !imageShape.every((side) => Number.isSafeInteger(side) && side >= 1))
    fail(
      "have imageShape [height, width, channels]",
      isShape ? `[${imageShape}]` : show(imageShape),
    );
}

/** The indices that the options select, shard taken out. */
export function selectIndices(
  caller: string,
  dataset: ImageDataset,
  { skip = 1, max, indices, shard }: SelectionOptions,
): number[] {
  checkInteger(caller, "skip", skip);
  if (max !== undefined) checkInteger(caller, "max", max);
  if (shard !== undefined) checkShard(caller, shard);
  checkDataset(caller, dataset);
  const all = indices
    ? checkIndices(caller, indices, dataset.length)
    : Array.from({ length: Math.ceil(dataset.length / skip) }, (_, i) => i * skip);
  const selected = max === undefined ? all : all.slice(0, max);
  return shard ? selected.filter((_, i) => i % shard.count === shard.index) : selected;
}

/**
 * A short name of a list of indices, equal only for equal lists. Kept in the logs of its shards, from whose
 * rows the list could not be told; `skip` and `max` can.
 */
export function nameOf(indices: readonly number[]): string {
  const { high, low } = key(indices.join(","));
  return [high, low].map((word) => word.toString(16).padStart(8, "0")).join("");
}

/** The same, checked: as many numbers as the shape says, in the range of the pixels, and a label that exists. */
export async function readChecked(
  caller: string,
  dataset: ImageDataset,
  index: number,
  { range, numClasses }: { readonly range?: Range | undefined; readonly numClasses: number },
): Promise<{ image: FloatArray; label: number }> {
  const { image, label } = await readItem(caller, dataset, index);
  const size = dataset.imageShape.reduce((product, length) => product * length, 1);
  if (image?.length !== size)
    throw new DmaeError(
      "shape",
      `${caller}: image ${index} must have ${size} numbers for shape [${dataset.imageShape}], got ${show(image?.length)}`,
    );
  checkPixels(`${caller}: image ${index}`, image, range);
  if (!Number.isInteger(label) || label < 0 || label >= numClasses)
    throw new DmaeError(
      "argument",
      `${caller}: label of image ${index} must be an integer in [0, ${numClasses}), got ${show(label)}`,
    );
  return { image, label };
}

/** One image of a data set with its label, its numbers exactly as the data set has them. */
export async function readItem(
  caller: string,
  dataset: ImageDataset,
  index: number,
): Promise<{ image: FloatArray; label: number }> {
  const item: Awaited<ReturnType<ImageDataset["get"]>> | undefined = await dataset.get(index);
  if (typeof item === "object" && item !== null) {
    const { image, label } = item;
    const isOther = !(image instanceof Float32Array) && isNumbers(image);
    return { image: isOther ? toFloats(image) : image, label };
  }
  throw new DmaeError(
    "argument",
    `${caller}: get(${index}) of the data set must give { image, label }, got ${show(item)}`,
  );
}

function checkShard(caller: string, shard: Shard): void {
  const { index, count } = (shard ?? {}) as Partial<Shard>;
  const integers = Number.isSafeInteger(index) && Number.isSafeInteger(count);
  if (integers && index! >= 0 && index! < count!) return;
  const got =
    typeof shard === "object" && shard !== null
      ? `{ index: ${show(index)}, count: ${show(count)} }`
      : show(shard);
  throw new DmaeError(
    "argument",
    `${caller}: shard must be { index, count } with integers 0 <= index < count, e.g. { index: 0, count: 8 }, got ${got}`,
  );
}

function checkIndices(caller: string, indices: readonly number[], length: number): number[] {
  const seen = new Set<number>();
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 0 || index >= length)
      throw new DmaeError(
        "argument",
        `${caller}: indices must be integers in [0, ${length}), got ${show(index)}`,
      );
    if (seen.has(index))
      throw new DmaeError("argument", `${caller}: indices must differ, got ${index} twice`);
    seen.add(index);
  }
  return [...indices];
}
