import { foldIn, type ImageDataset, type Key, normal } from "@dmae/core";

/** What {@link noisyBatches} draws. */
export interface CalibrationSettings {
  /** Images in a batch. */
  readonly batchSize: number;
  /** Standard deviation of the noise that the classifier will be certified under. */
  readonly sigma: number;
  /** The noise follows from it. */
  readonly key: Key;
}

/** Enough for the scales of a small ViT. */
const batches = 8;

/**
 * Batches of noisy images on which `quantize` of `@dmae/compile` finds int8 scales: the first images of the data set that
 * the classifier was trained on, so that no test image is looked at.
 *
 * @returns eight batches, the input `images` `[batchSize, H, W, C]` each
 */
export async function* noisyBatches(
  dataset: ImageDataset,
  { batchSize, sigma, key }: CalibrationSettings,
): AsyncGenerator<{ readonly images: Float32Array }, void, void> {
  const size = dataset.imageShape.reduce((product, side) => product * side, 1);
  const noise = foldIn(key, "calibration");
  for (let batch = 0; batch < batches; batch++) {
    const images = new Float32Array(batchSize * size);
    for (let row = 0; row < batchSize; row++) {
      const index = batch * batchSize + row;
      const { image: mean } = await dataset.get(index);
      const out = images.subarray(row * size, (row + 1) * size);
      normal(noise, out, { index, mean, standardDeviation: sigma });
    }
    yield { images };
  }
}
