import { DmaeError, type ImageDataset, type LabeledImage } from "@dmae/core";
import type { PixelDataset } from "@dmae/datasets";
import { isPixelDataset } from "@dmae/datasets/transforms";
import type { BatchSource } from "./batch-source.ts";

/** A data set whose labels are checked as they are read: typed arrays turn a NaN into class 0. */
export function withDatasetLabels(dataset: ImageDataset, caller: string): ImageDataset {
  const { name, length, imageShape, numClasses } = dataset;
  const checked = <T extends Pick<LabeledImage, "label">>(item: T, index: number): T => {
    checkLabel(caller, item.label, index, numClasses);
    return item;
  };
  return {
    ...{ name, length, imageShape, numClasses },
    get: async (index) => checked(await dataset.get(index), index),
    ...(isPixelDataset(dataset) && checkedPixels(dataset, checked)),
  };
}

/** Batches whose labels are checked as they come. */
export function withBatchLabels(
  source: BatchSource,
  caller: string,
  numClasses: number,
): BatchSource {
  return {
    ...source,
    async at(step) {
      const batch = await source.at(step);
      batch.labels.forEach((label, row) => {
        checkLabel(caller, label, batch.indices[row]!, numClasses);
      });
      return batch;
    },
  };
}

/** What a data set of bytes has besides, its labels checked. */
function checkedPixels(
  dataset: PixelDataset,
  checked: <T extends Pick<LabeledImage, "label">>(item: T, index: number) => T,
) {
  const { transform, limits } = dataset;
  return {
    pixels: async (index: number) => checked(await dataset.pixels(index), index),
    ...(dataset.locate && { locate: (index: number) => dataset.locate!(index) }),
    ...(transform && { transform }),
    ...(limits && { limits }),
  };
}

function checkLabel(caller: string, label: number, index: number, numClasses: number): void {
  if (Number.isInteger(label) && label >= 0 && label < numClasses) return;
  throw new DmaeError(
    "argument",
    `${caller}: the label of image ${index} must be an integer in [0, ${numClasses}), got ${label}`,
    { index, label },
  );
}
