import type { FloatArray, ImageDataset } from "@dmae/core";
import { formatSeed, type Seed } from "../noise/fresh-seed.ts";
import { readItem, selectIndices } from "../run/dataset-selection.ts";
import type { Arguments } from "./cli-arguments.ts";
import type { Streams } from "./cli-rows.ts";
import { selectionOf } from "./cli-settings.ts";

/** The images of a command that prints a line for each. */
export interface ImageLines {
  readonly command: string;
  readonly dataset: ImageDataset;
  readonly args: Arguments;
  /** Seed of the noise, the last cell of each line. */
  readonly seed: Seed;
}

/** An image that was read. */
export interface IndexedImage {
  readonly image: FloatArray;
  readonly label: number;
  readonly index: number;
}

/** The header above the lines. */
export const headerOf = (columns: readonly string[]): string =>
  `${["idx", ...columns, "seed"].join("\t")}\n`;

/** Prints a line of cells for each selected image. */
export async function printImages(
  { command, dataset, args, seed }: ImageLines,
  io: Streams,
  cells: (image: IndexedImage) => Promise<readonly unknown[]>,
): Promise<void> {
  for (const index of selectIndices(command, dataset, selectionOf(args))) {
    const item = await readItem(command, dataset, index);
    const found = await cells({ ...item, index });
    await io.out(`${[index, ...found, formatSeed(seed)].join("\t")}\n`);
  }
}
