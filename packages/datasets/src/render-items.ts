import { DmaeError, type Key } from "@dmae/core";
import type { DecodeLimits, ImageLocation } from "./dataset.ts";
import { decodeAt } from "./decode.ts";
import type { ImageOperation } from "./operations.ts";
import type { LabeledPixels } from "./pixels.ts";
import { renderNamed } from "./render-named.ts";

/** One image to render: where it lies, or its bytes. Plain, so that it can be sent to a worker. */
export interface RenderItem {
  readonly location?: ImageLocation;
  readonly pixels?: LabeledPixels;
  readonly key?: Key;
}

/** Images to render in one go. */
export interface RenderTask {
  readonly items: readonly RenderItem[];
  readonly operations: readonly ImageOperation[];
  /** Values per rendered image. */
  readonly size: number;
  readonly limits: DecodeLimits;
  /** Channels of images that are decoded: 3, or 1 for grey. */
  readonly channels: number;
}

/** An image that could not be rendered. */
export interface RenderFailure {
  /** Position in the task. */
  readonly position: number;
  readonly error: unknown;
}

/**
 * Decodes and transforms images, at most `atOnce` at a time, and writes them one after the other.
 *
 * @param out `[items, size]`
 * @returns the labels and what failed; the others are done
 */
export async function renderItems(
  { items, operations, size, limits, channels }: RenderTask,
  out: Float32Array,
  atOnce: number,
): Promise<{ labels: Int32Array; failures: RenderFailure[] }> {
  const labels = new Int32Array(items.length);
  const failures: RenderFailure[] = [];
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const position = next++;
      try {
        const { location, pixels: given, key } = items[position]!;
        const pixels = given ?? (await decodeAt(location!, limits, channels));
        renderNamed(location?.name, pixels, operations, key, out, position * size);
        labels[position] = pixels.label;
      } catch (error) {
        failures.push({ position, error });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  return { labels, failures };
}

/** The error as plain facts: an error object loses its class on the way between threads. */
export function packError(error: unknown): unknown {
  if (!DmaeError.isInstance(error)) return error;
  const { code, message, details } = error;
  return { code, message, details };
}

/** The error from its facts. */
export function unpackError(facts: unknown): unknown {
  const { code, message, details } = facts as Partial<DmaeError>;
  return code && message && !(facts instanceof Error)
    ? new DmaeError(code, message, details)
    : facts;
}
