import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
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
  /** Range of the area of a random crop, resized bicubically to the image size, aspect 3/4 to 4/3; null or left out for none. */
  readonly resizedCropScale?: readonly [low: number, high: number] | null | undefined;
  /** Random crop of the image after padding it with so many black pixels on each side; default: none. */
  readonly cropPadding?: number | null | undefined;
  /** Probability of a horizontal flip; default 0. */
  readonly horizontalFlip?: number | undefined;
  /** RandAugment policy by its timm name; null for none. */
  readonly randAugment?: string | null | undefined;
}

/** The names of {@link Augmentation}. */
export const augmentationNames = {
  resizedCropScale: true,
  cropPadding: true,
  horizontalFlip: true,
  randAugment: true,
} satisfies OptionNames<Augmentation>;

/** Throws for an augmentation that would not do what it says. */
export function checkAugmentation(caller: string, augmentation: unknown): void {
  if (augmentation === null || augmentation === undefined) return;
  checkOptions(`${caller}: augmentation`, augmentation as Augmentation, augmentationNames);
  augmentationOperations(augmentation as Augmentation, 1); // each operation checks its own numbers
}

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
  const { resizedCropScale: scale = null, cropPadding: padding = null } = augmentation;
  const { horizontalFlip = 0, randAugment: policy = null } = augmentation;
  return [
    ...(scale === null ? fixed : [randomResizedCrop(side, { scale })]),
    ...(padding === null ? [] : [randomCrop(side, { padding })]),
    ...(horizontalFlip === 0 ? [] : [randomHorizontalFlip(horizontalFlip)]),
    ...(policy === null ? [] : [randAugment(policy)]),
  ];
}

/** Throws unless a batch source augments its images as the recipe says. */
export function requireAugmentation(
  caller: string,
  { operations, imageShape }: BatchSource,
  augmentation: Augmentation | null = null,
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
