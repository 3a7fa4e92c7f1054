import { everyNth, type PixelDataset, subset } from "@dmae/datasets";

/** As many images of a data set as asked, evenly spread: image `floor(i * length / count)` for each i; all where it has fewer. */
export function evenlySpread(dataset: PixelDataset, count: number): PixelDataset {
  const { length } = dataset;
  const most = Math.min(count, length);
  if (length % most === 0) return everyNth(dataset, length / most); // the same, with the shorter name
  return subset(
    dataset,
    Array.from({ length: most }, (_, i) => Math.floor((i * length) / most)),
  );
}
