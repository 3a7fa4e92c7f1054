import { DmaeError } from "@dmae/core";
import type { OptionNames } from "@dmae/core/checks";
import type { ImageOperation } from "@dmae/datasets";
import {
  randAugment,
  randomCrop,
  randomHorizontalFlip,
  randomResizedCrop,
} from "@dmae/datasets/transforms";
import type { BatchSource } from "./batch-source.ts";

/** How training images are augmented. */
export interface Augmentation {
  /** Range of the area of a random crop, resized bicubically to the image size, aspect 3/4 to 4/3; null for none. */
  readonly resizedCropScale: readonly [low: number, high: number] | null;
  /** Random crop of the image after padding it with so many black pixels on each side; default: none. */
  readonly cropPadding?: number | null;
  /** Probability of a horizontal flip. */
  readonly horizontalFlip: number;
  /** RandAugment policy by its timm name; null for none. */
  readonly randAugment?: string | null;
}

/** The names of {@link Augmentation}. */
export const augmentationNames = {
  resizedCropScale: true,
  cropPadding: true,
  horizontalFlip: true,
  randAugment: true,
} satisfies OptionNames<Augmentation>;

/**
 * An augmentation as operations on images of `side` x `side` pixels.
 *
 * @param fixed the data set's own operations, kept unless a random crop replaces them
 */
export function augmentationOperations(
  augmentation: Augmentation,
  side: number,
  fixed: readonly ImageOperation[] = [],
): readonly ImageOperation[] {
  const { resizedCropScale: scale, cropPadding: padding = null, horizontalFlip } = augmentation;
  const { randAugment: policy = null } = augmentation;
  return [
    ...(scale === null ? fixed : [randomResizedCrop(side, { scale })]),
    ...(padding === null ? [] : [randomCrop(side, { padding })]),
    ...(horizontalFlip > 0 ? [randomHorizontalFlip(horizontalFlip)] : []),
    ...(policy === null ? [] : [randAugment(policy)]),
  ];
}

/** Throws unless a batch source augments its images as the recipe says. */
export function requireAugmentation(
  caller: string,
  { operations, imageShape }: BatchSource,
  augmentation: Augmentation | null,
): void {
  const wanted = augmentation === null ? [] : augmentationOperations(augmentation, imageShape[0]);
  const [expected, received] = [randomText(wanted), randomText(operations ?? [])];
  if (expected === received) return;
  throw new DmaeError(
    "argument",
    `${caller}: the batches must be augmented as the recipe says, ${expected}, got ${received}; ` +
      "pass the data set itself, give the batchLoader these operations, or change augmentation",
    { expected, received },
  );
}

function randomText(operations: readonly ImageOperation[]): string {
  const random = operations.filter(({ op }) => op.startsWith("rand"));
  return random.length === 0 ? "not at all" : JSON.stringify(random);
}
