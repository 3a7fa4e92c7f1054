import { DmaeError, foldIn, type ImageDataset, type ImageShape, type Key } from "@dmae/core";
import { datasetName } from "@dmae/core/checks";
import { batchLoader, type ImageWorkers, type PixelDataset } from "@dmae/datasets";
import { type Augmentation, augmentationOperations, requireAugmentation } from "./augmentation.ts";
import { type BatchSource, withBatchSize } from "./batch-source.ts";
import { withBatchLabels, withDatasetLabels } from "./checked-labels.ts";
import { noiseKeys } from "./noise.ts";
import { batchRows } from "./rank-rows.ts";

/** What {@link openImages} needs to know of the run. */
export interface ImageSettings {
  /** The function whose name errors carry. */
  readonly caller: string;
  /** The model's input. */
  readonly images: ModelImages;
  /** Images in a micro-batch, and their augmentation. */
  readonly recipe: { readonly batchSize: number; readonly augmentation: Augmentation | null };
  /** The run's key. */
  readonly key: Key;
  /** Noisy copies of each image. */
  readonly copies: number;
  /** Threads that decode, augment and draw noise. */
  readonly workers?: number | ImageWorkers | undefined;
  /** Called for each damaged file, see `batchLoader`. */
  readonly onCorrupt?: ((error: DmaeError) => void) | undefined;
  /** The rows of every batch that this rank computes; default: all. */
  readonly rows?: Int32Array | undefined;
}

/** The images that a model takes. */
export interface ModelImages {
  /** Height, width, channels. */
  readonly imageShape: ImageShape;
  /** Classes of the model; left out if labels are not read. */
  readonly numClasses?: number;
}

/** A batch source, and how to let go of it. */
export interface OpenedImages extends BatchSource {
  close(): Promise<void>;
}

/**
 * The training batches of a data set, shuffled, augmented and with their noise, or those of a batch source, after
 * checking that they fit the model and the recipe.
 *
 * @throws DmaeError "argument" for images, classes, a batch size or an augmentation that do not fit
 */
export function openImages(
  data: ImageDataset | BatchSource,
  settings: ImageSettings,
): OpenedImages {
  const { caller, images, recipe, rows } = settings;
  requireFit(data, caller, images);
  if ("at" in data) {
    for (const name of ["workers", "onCorrupt"] as const)
      if (settings[name])
        throw new DmaeError(
          "argument",
          `${caller}: ${name} is for data sets; a batch source has its own: give it to the batchLoader`,
        );
    requireAugmentation(caller, data, recipe.augmentation);
    const { numClasses } = images;
    const labelled = numClasses === undefined ? data : withBatchLabels(data, caller, numClasses);
    const whole = withBatchSize(labelled, recipe.batchSize, caller);
    const at = async (step: number) => batchRows(await whole.at(step), rows!);
    return { ...whole, ...(rows ? { at } : {}), close: async () => {} };
  }
  const { key, copies, workers, onCorrupt } = settings;
  const dataset = images.numClasses === undefined ? data : withDatasetLabels(data, caller);
  const { augmentation = null, batchSize } = recipe;
  const fixed = (data as PixelDataset).transform;
  const loader = batchLoader(dataset, {
    batchSize,
    key: foldIn(key, "data"),
    shuffle: true,
    dropLast: true,
    noiseKeys: noiseKeys(key, copies),
    ...(augmentation === null
      ? {}
      : { transform: augmentationOperations(augmentation, images.imageShape[0], fixed) }),
    ...{ workers, rows, onCorrupt },
  });
  return loader;
}

/** The options that load images of the shape `wanted`: `channels` too where those differ. */
const sizeOf = ([size, , channels]: ImageShape, got: ImageShape) =>
  channels === got[2] ? `size: ${size}` : `size: ${size}, channels: ${channels}`;

function requireFit(
  data: ImageDataset | BatchSource,
  caller: string,
  { imageShape, numClasses }: ModelImages,
): void {
  const fail = (message: string) => {
    throw new DmaeError("argument", `${caller}: ${message}`);
  };
  if (`${data.imageShape}` !== `${imageShape}`)
    fail(
      `images must be [${imageShape}], got [${data.imageShape}]; load them in that size, ` +
        `e.g. loadImageFolder(folder, { ${sizeOf(imageShape, data.imageShape)} }), or set inputSize and channels of the model`,
    );
  if (numClasses !== undefined && "numClasses" in data && data.numClasses !== numClasses)
    fail(
      `numClasses of the model must be the ${data.numClasses} of ${datasetName(data)}, got ${numClasses}`,
    );
}
