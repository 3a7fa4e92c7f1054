import { type Key, normal } from "@dmae/core";

/** Standard normals for some images. */
export interface NoiseTask {
  /** One key for each row. */
  readonly keys: readonly Key[];
  /** The `index` of each row's draws. */
  readonly indices: readonly number[];
  /** Values in a row. */
  readonly size: number;
}

/** Fills row `i` of `out` with `normal(keys[i], …, { index: indices[i] })`. */
export function drawNoise({ keys, indices, size }: NoiseTask, out: Float32Array): void {
  for (const [row, index] of indices.entries())
    normal(keys[row]!, out.subarray(row * size, (row + 1) * size), { index });
}
