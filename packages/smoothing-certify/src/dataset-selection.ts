import { DmaeError, type ImageDataset } from "@dmae/core";
import { checkInteger, show } from "./checks.ts";
import type { Shard } from "./shard.ts";

/** Which images of a data set are certified. */
export interface SelectionOptions {
  /** Takes every skip-th image, 0, skip, 2 skip …; default 1. */
  readonly skip?: number | undefined;
  /** At most this many images. */
  readonly max?: number | undefined;
  /** These images, in this order, in place of `skip` and `max`. */
  readonly indices?: readonly number[] | undefined;
  /** Takes only every count-th of the selected images, beginning with the index-th. */
  readonly shard?: Shard | undefined;
}

/** The indices that the options select, shard taken out. */
export function selectIndices(
  caller: string,
  dataset: ImageDataset,
  { skip = 1, max, indices, shard }: SelectionOptions,
): number[] {
  checkInteger(caller, "skip", skip);
  if (max !== undefined) checkInteger(caller, "max", max);
  if (!(dataset?.length > 0))
    throw new DmaeError(
      "argument",
      `${caller}: the data set must have images, got length ${show(dataset?.length)}`,
    );
  const all = indices
    ? checkIndices(caller, indices, dataset.length)
    : Array.from({ length: Math.ceil(dataset.length / skip) }, (_, i) => i * skip);
  const selected = max === undefined ? all : all.slice(0, max);
  return shard ? selected.filter((_, i) => i % shard.count === shard.index) : selected;
}

function checkIndices(caller: string, indices: readonly number[], length: number): number[] {
  const seen = new Set<number>();
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 0 || index >= length)
      throw new DmaeError(
        "argument",
        `${caller}: indices must be integers in [0, ${length}), got ${show(index)}`,
      );
    if (seen.has(index))
      throw new DmaeError("argument", `${caller}: indices must differ, got ${index} twice`);
    seen.add(index);
  }
  return [...indices];
}
