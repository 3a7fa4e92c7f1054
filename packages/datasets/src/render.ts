import {
  DmaeError,
  type ImageDataset,
  type ImageShape,
  type Key,
  type LabeledImage,
} from "@dmae/core";
import { outputShape, renderImage } from "./apply-operations.ts";
import type { BatchOptions, ImageTransform } from "./batch-options.ts";
import { isPixelDataset, type PixelDataset } from "./dataset.ts";
import type { ImageOperation } from "./operations.ts";
import { toPixels } from "./pixels.ts";

/** One batch to fill in. */
export interface RenderTask {
  readonly indices: Int32Array;
  readonly keyOf: (index: number) => Key | undefined;
  readonly epoch: number;
  /** Where the images go. */
  readonly images: Float32Array;
  /** Where the labels go. */
  readonly labels: Int32Array;
}

/** Turns positions in a data set into float images. */
export interface Renderer {
  readonly imageShape: ImageShape;
  render(task: RenderTask): Promise<void>;
}

/** How many images are decoded at once: enough for every core, few enough to keep memory flat. */
const atOnce = 8;

/** The way from bytes to the images of a batch, as the options ask for it. */
export function createRenderer(dataset: ImageDataset, { transform }: BatchOptions): Renderer {
  if (typeof transform === "function") return functionRenderer(dataset, transform);
  if (transform === undefined) return functionRenderer(dataset, (image) => image);
  return operationsRenderer(dataset, transform);
}

function functionRenderer(dataset: ImageDataset, transform: ImageTransform): Renderer {
  const { imageShape } = dataset;
  return {
    imageShape,
    render: (task) =>
      eachLimited(task.indices, async (index, position) => {
        const key = task.keyOf(index);
        const context = { epoch: task.epoch, index, imageShape, ...(key && { key }) };
        place(task, position, await transform(await dataset.get(index), context), dataset, index);
      }),
  };
}

function operationsRenderer(
  dataset: ImageDataset,
  operations: readonly ImageOperation[],
): Renderer {
  const imageShape = operationsShape(dataset, operations);
  const size = imageShape[0] * imageShape[1] * imageShape[2];
  const pixels = isPixelDataset(dataset) ? dataset.pixels : pixelsOf(dataset);
  return {
    imageShape,
    render: (task) =>
      eachLimited(task.indices, async (index, position) => {
        const bytes = await pixels(index);
        renderImage(bytes, operations, task.keyOf(index), task.images, position * size);
        task.labels[position] = bytes.label;
      }),
  };
}

/** The shape of the images of `dataset` under `operations` instead of its own transform. */
function operationsShape(dataset: ImageDataset, operations: readonly ImageOperation[]): ImageShape {
  const anySize = isPixelDataset(dataset) && dataset.transform !== undefined;
  const shape = anySize ? undefined : dataset.imageShape;
  return outputShape("batches", operations, shape, dataset.imageShape[2]);
}

/** The bytes of a data set that has only floats: the nearest of 256 levels. */
function pixelsOf(dataset: ImageDataset): PixelDataset["pixels"] {
  return async (index) => {
    const { image, label } = await dataset.get(index);
    return { ...toPixels(image, dataset.imageShape), label };
  };
}

function place(
  { images, labels }: RenderTask,
  position: number,
  { image, label }: LabeledImage,
  dataset: ImageDataset,
  index: number,
): void {
  const [height, width, channels] = dataset.imageShape;
  const size = height * width * channels;
  if (image.length !== size)
    throw new DmaeError(
      "shape",
      `batches: image ${index} of ${dataset.name} must have ${size} values, got ${image.length}`,
    );
  images.set(image, position * size);
  labels[position] = label;
}

/** Runs `body` for every element, at most {@link atOnce} at a time; the first error ends it. */
async function eachLimited(
  indices: Int32Array,
  body: (index: number, position: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < indices.length) {
      const position = next++;
      await body(indices[position]!, position);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, indices.length) }, lane));
}
