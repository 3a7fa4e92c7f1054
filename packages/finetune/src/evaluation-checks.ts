import { DmaeError, type ImageDataset } from "@dmae/core";
import { datasetName, outsideUnit, refusePromise } from "@dmae/core/checks";

/** Throws for a setting that would end a measurement in nonsense: no image, no copy, noise that is no number. */
export function checkMeasure(
  caller: string,
  {
    sigma = 0,
    samples = 1,
    limit = 1,
  }: { readonly [name in "sigma" | "samples" | "limit"]?: number | undefined },
): void {
  if (!(typeof sigma === "number" && sigma >= 0 && Number.isFinite(sigma)))
    wrong(caller, "sigma must be a number, 0 or more", sigma);
  if (!isPositiveInteger(samples)) wrong(caller, "samples must be a positive integer", samples);
  if (limit !== Number.POSITIVE_INFINITY && !isPositiveInteger(limit))
    wrong(caller, "limit must be a positive integer; leave it out for all images", limit);
}

/** Throws unless it is a data set with images, of the shape and the classes that the classifier takes. */
export function checkDataset(
  caller: string,
  dataset: ImageDataset,
  classifier: { readonly imageShape: readonly number[]; readonly numClasses: number },
): void {
  refusePromise(caller, dataset);
  const { length, imageShape, numClasses, get } = (dataset ?? {}) as Partial<ImageDataset>;
  if (typeof get !== "function")
    wrong(caller, "the data set must be one, e.g. loadImageFolder(…) of @dmae/datasets", dataset);
  if (`${imageShape}` !== `${classifier.imageShape}`)
    wrong(caller, `images must be [${classifier.imageShape}]`, `[${imageShape}]`);
  if (numClasses !== classifier.numClasses)
    wrong(
      caller,
      `numClasses of ${datasetName(dataset)} must be the ${classifier.numClasses} of the classifier`,
      numClasses,
    );
  if (!isPositiveInteger(length!))
    wrong(caller, `${datasetName(dataset)} must hold images`, length);
}

/** Throws unless a batch has rows. */
export function checkBatchSize(caller: string, batchSize: number): void {
  if (!isPositiveInteger(batchSize))
    wrong(caller, "batchSize must be a positive integer", batchSize);
}

/** Throws unless an image read from a data set has the pixels and a label that it promises. */
export function checkImage(
  caller: string,
  { image, label }: { readonly image: ArrayLike<number>; readonly label: number },
  expected: { readonly index: number; readonly pixels: number; readonly numClasses: number },
): void {
  const { index, pixels, numClasses } = expected;
  if (!(Number.isInteger(label) && label >= 0 && label < numClasses))
    wrong(caller, `the label of image ${index} must be an integer in [0, ${numClasses})`, label);
  if (image.length !== pixels)
    throw new DmaeError(
      "shape",
      `${caller}: image ${index} must have ${pixels} values, got ${image.length}`,
    );
  const at = outsideUnit(image);
  if (at >= 0)
    throw new DmaeError(
      "argument",
      `${caller}: image ${index} must lie in [0, 1], as in training, got ${image[at]} at element ${at}; scale the images, e.g. bytes by 1 / 255`,
    );
}

const isPositiveInteger = (value: number) => Number.isSafeInteger(value) && value >= 1;

function wrong(caller: string, rule: string, value: unknown): never {
  throw new DmaeError("argument", `${caller}: ${rule}, got ${value}`, { value });
}
