import { type Batch, DmaeError, type Key } from "@dmae/core";
import type { WorkerPool } from "./image-workers.ts";
import { drawNoise } from "./noise.ts";
import type { Renderer, RenderRequest } from "./render.ts";

/** A batch with noise drawn for it, see `noiseKeys`. */
export interface LoadedBatch extends Batch {
  /** `[copies * B, H, W, C]` standard normals; only with `noiseKeys`. */
  readonly noise?: Float32Array;
}

/** What a batch is made with. */
export interface BatchMaker {
  readonly renderer: Renderer;
  readonly pool: WorkerPool | undefined;
  /** Number of images in the data set. */
  readonly length: number;
  /** Keeps the error of a damaged image and lets another take its place; throws where that is not asked for. */
  readonly report: (error: unknown) => void;
}

/** Renders the images at `indices` and draws the noise of `noiseKeys`. */
export async function renderBatch(
  maker: BatchMaker,
  request: RenderRequest,
  noiseKeys: readonly Key[] | undefined,
): Promise<LoadedBatch> {
  const { imageShape } = maker.renderer;
  const indices = request.indices.slice();
  const size = imageShape[0] * imageShape[1] * imageShape[2];
  const images = new Float32Array(indices.length * size);
  const { labels, failures } = await maker.renderer.render(request, images);
  for (const { position, error } of [...failures].sort((a, b) => a.position - b.position)) {
    const target = images.subarray(position * size, (position + 1) * size);
    const found = await substitute(maker, request, indices[position]!, error, target);
    indices[position] = found.index;
    labels[position] = found.label;
  }
  const batch: Batch = { images, labels, indices, size: indices.length, imageShape };
  if (!noiseKeys) return batch;
  return { ...batch, noise: await noiseFor(indices, noiseKeys, size, maker.pool) };
}

/** The next image after a damaged one that can be read. */
async function substitute(
  { renderer, length, report }: BatchMaker,
  { keyOf, epoch }: RenderRequest,
  damaged: number,
  error: unknown,
  target: Float32Array,
): Promise<{ index: number; label: number }> {
  report(error);
  for (let step = 1; step < length; step++) {
    const index = (damaged + step) % length;
    const request = { indices: Int32Array.of(index), keyOf, epoch };
    const { labels, failures } = await renderer.render(request, target);
    if (failures.length === 0) return { index, label: labels[0]! };
    report(failures[0]!.error);
  }
  throw new DmaeError("file", "batches: not one image of the data set can be read");
}

async function noiseFor(
  indices: Int32Array,
  keys: readonly Key[],
  size: number,
  pool: WorkerPool | undefined,
): Promise<Float32Array> {
  const noise = new Float32Array(keys.length * indices.length * size);
  const rows = Array.from({ length: keys.length * indices.length }, (_, row) => ({
    key: keys[Math.floor(row / indices.length)]!,
    index: indices[row % indices.length]!,
  }));
  const chunk = pool ? Math.min(8, Math.ceil(rows.length / pool.count)) : 8;
  const parts: Promise<void>[] = [];
  for (let start = 0; start < rows.length; start += chunk) {
    const part = rows.slice(start, start + chunk);
    const task = {
      keys: part.map(({ key }) => key),
      indices: part.map(({ index }) => index),
      size,
    };
    const target = noise.subarray(start * size, (start + part.length) * size);
    if (pool) parts.push(pool.noise(task, (values) => target.set(values)));
    else drawNoise(task, target);
  }
  await Promise.all(parts);
  return noise;
}
