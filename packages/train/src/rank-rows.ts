import { DmaeError, type World } from "@dmae/core";
import type { NoisyBatch } from "./noise.ts";

/**
 * Which rows of a micro-batch a loss needs on one rank: `"mirrored"`, rows `i` and `B - 1 - i` (mixup and CutMix), or
 * so many in a row (the groups of batch normalisation).
 */
export type RowGroups = "mirrored" | number;

/**
 * The rows of a micro-batch that one rank computes, in an order in which mirrored rows stay mirrored. The ranks share
 * the rows as evenly as `groups` allows; each row belongs to one of them.
 *
 * @throws DmaeError "argument" where a rank would have none
 */
export function rankRows(
  caller: string,
  batchSize: number,
  groups: RowGroups | undefined,
  { rank, size }: Pick<World, "rank" | "size">,
): Int32Array {
  const perUnit = groups === "mirrored" ? 2 : (groups ?? 1);
  const units = Math.ceil(batchSize / perUnit);
  if (units < size)
    throw new DmaeError(
      "argument",
      `${caller}: ${size} ranks cannot share ${batchSize} images in ${units} ${unitName(groups)}; ` +
        `start at most ${units} ranks, or raise the recipe's batchSize and lower accumulate` +
        (typeof groups === "number" ? " (batchNormGroup stays)" : ""),
      { units, ranks: size },
    );
  const edge = (of: number) => Math.floor((units * of) / size);
  const [from, to] = [edge(rank), edge(rank + 1)];
  if (groups !== "mirrored") return range(from * perUnit, Math.min(to * perUnit, batchSize));
  // the row in the middle of an odd batch is its own mirror image
  const first = range(from, to);
  const second = range(batchSize - to, batchSize - from).filter((row) => row >= to);
  return Int32Array.of(...first, ...second);
}

const unitName = (groups: RowGroups | undefined) => {
  if (groups === undefined) return "rows";
  return groups === "mirrored"
    ? "pairs, which mixup and CutMix mix"
    : `groups of ${groups}, over which batch normalisation goes`;
};

const range = (from: number, to: number) =>
  Int32Array.from({ length: to - from }, (_, i) => from + i);

/** The batch of some rows of another one. */
export function batchRows(batch: NoisyBatch, rows: Int32Array): NoisyBatch {
  const pixels = batch.images.length / batch.size;
  const { noise, ...rest } = batch;
  const images = pick(batch.images, 0, rows, pixels);
  const own = {
    ...rest,
    images,
    labels: rows.map((row) => batch.labels[row]!),
    indices: rows.map((row) => batch.indices[row]!),
    size: rows.length,
  };
  if (noise === undefined) return own;
  const copies = noise.length / batch.images.length;
  const ownNoise = new Float32Array(copies * images.length);
  for (let copy = 0; copy < copies; copy++)
    ownNoise.set(pick(noise, copy * batch.images.length, rows, pixels), copy * images.length);
  return { ...own, noise: ownNoise };
}

function pick(values: Float32Array, start: number, rows: Int32Array, length: number) {
  const picked = new Float32Array(rows.length * length);
  rows.forEach((row, i) => {
    const from = start + row * length;
    picked.set(values.subarray(from, from + length), i * length);
  });
  return picked;
}
