import { DmaeError, type ImageDataset } from "@dmae/core";
import { refusePromise } from "@dmae/core/checks";
import { checkIndex, isPixelDataset, type PixelDataset } from "./dataset.ts";

/**
 * The images of `dataset` at `indices`, in that order, as a data set (a view: nothing is copied).
 *
 * @param name default: that of `dataset` with the number of images and a checksum of the indices; run folders and logs
 *   tell data sets apart by their names
 * @throws DmaeError "argument" for an index outside the data set
 */
export function subset<Dataset extends ImageDataset>(
  dataset: Dataset,
  indices: ArrayLike<number>,
  name = viewName(dataset, `[${indices.length}#${checksumOf(indices)}]`),
): Dataset {
  refusePromise("subset", dataset);
  const chosen = Uint32Array.from(indices);
  for (let i = 0; i < chosen.length; i++) checkSubsetIndex(dataset, indices[i]!, i);
  const position = (index: number) => {
    checkIndex(view, index);
    return chosen[index]!;
  };
  const view: ImageDataset = {
    name,
    length: chosen.length,
    imageShape: dataset.imageShape,
    numClasses: dataset.numClasses,
    ...(dataset.classNames && { classNames: dataset.classNames }),
    get: (index) => dataset.get(position(index)),
    ...(isPixelDataset(dataset) && pixelView(dataset, position)),
  };
  return view as Dataset;
}

/**
 * The first `count` images.
 *
 * @throws DmaeError "argument" if the data set has fewer
 */
export function take<Dataset extends ImageDataset>(dataset: Dataset, count: number): Dataset {
  refusePromise("take", dataset);
  if (!Number.isInteger(count) || count < 0 || count > dataset.length)
    throw new DmaeError(
      "argument",
      `take: count must be an integer in [0, ${dataset.length}], got ${count}`,
    );
  return subset(dataset, range(count, 1), viewName(dataset, `[:${count}]`));
}

/**
 * Images `0, interval, 2 * interval, …`, `floor(length / interval)` of them: the images that the
 * field's certification scripts take (every 20th of CIFAR-10, every 50th or 100th of ImageNet).
 */
export function everyNth<Dataset extends ImageDataset>(
  dataset: Dataset,
  interval: number,
): Dataset {
  refusePromise("everyNth", dataset);
  if (!Number.isInteger(interval) || interval < 1)
    throw new DmaeError(
      "argument",
      `everyNth: interval must be a positive integer, got ${interval}`,
    );
  const count = Math.floor(dataset.length / interval);
  return subset(dataset, range(count, interval), viewName(dataset, `[::${interval}]`));
}

/** The name of a view of `dataset`: none if the data set has none. */
export const viewName = ({ name }: ImageDataset, part: string): string | undefined =>
  name === undefined ? undefined : name + part;

/** Eight hexadecimal digits (FNV-1a) that tell choices of images apart. */
function checksumOf(indices: ArrayLike<number>): string {
  let sum = 0x811c9dc5;
  for (let i = 0; i < indices.length; i++) sum = Math.imul(sum ^ indices[i]!, 0x01000193);
  return (sum >>> 0).toString(16).padStart(8, "0");
}

const range = (count: number, step: number) =>
  Uint32Array.from({ length: count }, (_, i) => i * step);

function pixelView(dataset: PixelDataset, position: (index: number) => number) {
  const { transform, limits } = dataset;
  return {
    pixels: (index: number) => dataset.pixels(position(index)),
    ...(dataset.locate && { locate: (index: number) => dataset.locate!(position(index)) }),
    ...(transform && { transform }),
    ...(limits && { limits }),
  };
}

function checkSubsetIndex(dataset: ImageDataset, index: number, at: number): void {
  if (Number.isInteger(index) && index >= 0 && index < dataset.length) return;
  throw new DmaeError(
    "argument",
    `subset: indices must be integers in [0, ${dataset.length}), got ${index} at position ${at}`,
  );
}
