import { DmaeError, type Given, type ImageDataset } from "@dmae/core";
import { checkOptions, defined, refusePromise } from "@dmae/core/checks";
import { IMAGENET_NORMALIZATION, type ViTOptions, viTConfigNames } from "./config.ts";

/** ImageNet's statistics of grey images: the means of its three channels. */
const GREY = { mean: 0.449, std: 0.226 };

/** Images that the normalisation is measured on. */
const MEASURED = 1000;

/**
 * A ViT small enough to train in minutes on a CPU (width 128, 4 blocks, about 64 patches) for the images of a data set:
 * image size, channels, number of classes and normalisation are the data set's.
 *
 * The normalisation is measured on up to 1,000 images spread over the data set if it lies in memory; for images that
 * are decoded from files it is ImageNet's.
 *
 * @param images a data set of square images
 * @param overrides fields that differ
 * @throws DmaeError "argument" for images that are not square
 *
 * @example
 * const recipe = pretrainRecipe({ model: tiny(images), epochs: 50 });
 */
export function tiny(images: ImageDataset, overrides: Given<ViTOptions> = {}): ViTOptions {
  checkOptions("tiny", overrides, viTConfigNames);
  refusePromise("tiny", images);
  if (!Array.isArray(images?.imageShape) || images.imageShape.length !== 3)
    throw new DmaeError(
      "argument",
      `tiny: images must be a data set, e.g. await loadImageFolder("photos"), got ${images}`,
    );
  const [height, width, channels] = images.imageShape;
  if (height !== width)
    throw new DmaeError(
      "argument",
      `tiny: images must be square, got [${images.imageShape}]; load them in one size, e.g. loadImageFolder(folder, { size: ${Math.min(height, width)} })`,
    );
  return {
    ...{ width: 128, depth: 4, heads: 4 },
    ...patchesOf(height, channels === 1 ? 2 : 1),
    inputSize: height,
    channels,
    numClasses: images.numClasses,
    ...normalization(images),
    ...defined(overrides),
  };
}

/**
 * Patches of a side that cuts the image into about 8 x 8; if none divides it, the image is resized a little.
 *
 * @param smallest 2 for grey images: a patch of one number has no variance to normalise the target of a reconstruction by
 */
function patchesOf(side: number, smallest: number): { patchSize: number; imageSize: number } {
  const divisors = Array.from({ length: side }, (_, i) => i + 1).filter(
    (p) => p >= smallest && side % p === 0,
  );
  const fits = divisors.filter((p) => side / p >= 5 && side / p <= 16);
  const distance = (p: number) => Math.abs(side / p - 8);
  const [best] = fits.sort((a, b) => distance(a) - distance(b));
  if (best !== undefined) return { patchSize: best, imageSize: side };
  const patchSize = Math.max(smallest, Math.round(side / 8));
  return { patchSize, imageSize: patchSize * Math.max(1, Math.round(side / patchSize)) };
}

/** Mean and standard deviation of each channel, to three digits. */
function normalization(images: ImageDataset): Pick<ViTOptions, "mean" | "std"> & object {
  const channels = images.imageShape[2];
  const first = images.length > 0 ? images.get(0) : undefined;
  if (first === undefined || first instanceof Promise) {
    if (first instanceof Promise) first.catch(() => {});
    if (channels === 3) return IMAGENET_NORMALIZATION;
    return { mean: Array(channels).fill(GREY.mean), std: Array(channels).fill(GREY.std) };
  }
  const [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
  const step = Math.max(1, Math.ceil(images.length / MEASURED));
  let pixels = 0;
  for (let index = 0; index < images.length; index += step) {
    const { image } = images.get(index) as { image: Float32Array };
    for (let i = 0; i < image.length; i++) {
      sums[i % channels]! += image[i]!;
      squares[i % channels]! += image[i]! ** 2;
    }
    pixels += image.length / channels;
  }
  const mean = Array.from(sums, (sum) => sum / pixels);
  const std = mean.map((m, c) => Math.sqrt(Math.max(0, squares[c]! / pixels - m * m)));
  return { mean: mean.map(rounded), std: std.map((value) => Math.max(0.001, rounded(value))) };
}

const rounded = (value: number) => Math.round(1000 * value) / 1000;
