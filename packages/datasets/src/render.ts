import { DmaeError, type ImageDataset, type ImageShape, type Key } from "@dmae/core";
import { datasetName, outsideUnit } from "@dmae/core/checks";
import { outputShape } from "./apply-operations.ts";
import type { BatchOptions, ImageTransform } from "./batch-options.ts";
import { isPixelDataset, type PixelDataset } from "./dataset.ts";
import { defaultLimits } from "./decode.ts";
import type { WorkerPool } from "./image-workers.ts";
import type { ImageOperation } from "./operations.ts";
import { toPixels } from "./pixels.ts";
import {
  type RenderFailure,
  type RenderItem,
  type RenderTask,
  renderItems,
} from "./render-items.ts";

/** Images to render: their positions in the data set and their keys. */
export interface RenderRequest {
  readonly indices: Int32Array;
  readonly keyOf: (index: number) => Key | undefined;
  readonly epoch: number;
}

/** Turns positions in a data set into float images. */
export interface Renderer {
  readonly imageShape: ImageShape;
  /** Writes the images to `out`; returns their labels and those that failed. */
  render(
    request: RenderRequest,
    out: Float32Array,
  ): Promise<{ labels: Int32Array; failures: readonly RenderFailure[] }>;
}

/** How many images are decoded at once: enough for every core, few enough to keep memory flat. */
const atOnce = 8;
/** Most images that a worker gets at once. */
const mostPerTask = 16;

/** The way from bytes to the images of a batch, as the options ask for it. */
export function createRenderer(
  dataset: ImageDataset,
  { transform }: BatchOptions,
  pool: WorkerPool | undefined,
): Renderer {
  if (typeof transform === "function") return functionRenderer(dataset, transform);
  if (isPixelDataset(dataset))
    return operationsRenderer(dataset, transform ?? dataset.transform ?? [], pool);
  if (transform === undefined) return functionRenderer(dataset, asTheyAre(dataset));
  return operationsRenderer(withPixels(dataset), transform, undefined);
}

function functionRenderer(dataset: ImageDataset, transform: ImageTransform): Renderer {
  const { imageShape } = dataset;
  const size = imageShape[0] * imageShape[1] * imageShape[2];
  return {
    imageShape,
    async render({ indices, keyOf, epoch }, out) {
      const labels = new Int32Array(indices.length);
      const failures: RenderFailure[] = [];
      await eachLimited(indices.length, async (position) => {
        const index = indices[position]!;
        const key = keyOf(index);
        const context = { epoch, index, imageShape, ...(key && { key }) };
        try {
          const { image, label } = await transform(await dataset.get(index), context);
          checkSize(dataset, index, image, size);
          out.set(image, position * size);
          labels[position] = label;
        } catch (error) {
          failures.push({ position, error });
        }
      });
      return { labels, failures };
    },
  };
}

function operationsRenderer(
  dataset: PixelDataset,
  operations: readonly ImageOperation[],
  pool: WorkerPool | undefined,
): Renderer {
  const imageShape = operationsShape(dataset, operations);
  const size = imageShape[0] * imageShape[1] * imageShape[2];
  const { limits = defaultLimits } = dataset;
  const itemOf = async (index: number, key: Key | undefined): Promise<RenderItem> => ({
    ...(dataset.locate
      ? { location: dataset.locate(index) }
      : { pixels: await dataset.pixels(index) }),
    ...(key && { key }),
  });
  return {
    imageShape,
    async render({ indices, keyOf }, out) {
      const items = await Promise.all(Array.from(indices, (index) => itemOf(index, keyOf(index))));
      const task = { items, operations, size, limits, channels: imageShape[2] };
      return pool ? renderInPool(pool, task, out) : renderItems(task, out, atOnce);
    },
  };
}

/** Splits the task over the workers and puts the results together. */
async function renderInPool(pool: WorkerPool, task: RenderTask, out: Float32Array) {
  const { items, size } = task;
  const labels = new Int32Array(items.length);
  const failures: RenderFailure[] = [];
  const chunk = Math.min(mostPerTask, Math.ceil(items.length / pool.count));
  const parts: Promise<void>[] = [];
  for (let start = 0; start < items.length; start += chunk) {
    const part = items.slice(start, start + chunk).map(withOwnPixels);
    const receive: Parameters<WorkerPool["render"]>[1] = (images, partLabels, failed) => {
      out.set(images, start * size);
      labels.set(partLabels, start);
      for (const { position, error } of failed)
        failures.push({ position: start + position, error });
    };
    parts.push(pool.render({ ...task, items: part }, receive));
  }
  await Promise.all(parts);
  return { labels, failures };
}

/** Sending a view would send all the memory behind it. */
const withOwnPixels = (item: RenderItem): RenderItem =>
  item.pixels
    ? { ...item, pixels: { ...item.pixels, data: new Uint8Array(item.pixels.data) } }
    : item;

/** The shape of the images of `dataset` under `operations` instead of its own transform. */
function operationsShape(dataset: PixelDataset, operations: readonly ImageOperation[]): ImageShape {
  const shape = dataset.transform ? undefined : dataset.imageShape;
  return outputShape("batches", operations, shape, dataset.imageShape[2]);
}

/** The images of a data set that has only floats, once they are in its range. */
const asTheyAre =
  (dataset: ImageDataset): ImageTransform =>
  (item, { index }) => {
    checkUnit(dataset, index, item.image);
    return item;
  };

/** A data set that has only floats, with its bytes: the nearest of 256 levels. */
function withPixels(dataset: ImageDataset): PixelDataset {
  const { length, imageShape, numClasses } = dataset;
  const size = imageShape[0] * imageShape[1] * imageShape[2];
  const get = (index: number) => dataset.get(index);
  const pixels: PixelDataset["pixels"] = async (index) => {
    const { image, label } = await get(index);
    checkSize(dataset, index, image, size);
    checkUnit(dataset, index, image);
    return { ...toPixels(image, imageShape), label };
  };
  return { name: datasetName(dataset), length, imageShape, numClasses, get, pixels };
}

function checkSize(dataset: ImageDataset, index: number, image: Float32Array, size: number): void {
  if (image.length === size) return;
  throw new DmaeError(
    "shape",
    `batches: image ${index} of ${datasetName(dataset)} must have ${size} values, got ${image.length}`,
  );
}

function checkUnit(dataset: ImageDataset, index: number, image: Float32Array): void {
  const at = outsideUnit(image);
  if (at < 0) return;
  throw new DmaeError(
    "argument",
    `batches: image ${index} of ${datasetName(dataset)} must lie in [0, 1], got ${image[at]} at element ${at}; scale the images, e.g. bytes by 1 / 255`,
  );
}

/** Runs `body` for `0 … count - 1`, at most {@link atOnce} at a time. */
async function eachLimited(count: number, body: (position: number) => Promise<void>) {
  let next = 0;
  const lane = async () => {
    while (next < count) await body(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane));
}
