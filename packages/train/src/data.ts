import { DmaeError, type ImageDataset, type ImageShape } from "@dmae/core";
import type { BatchSource, ImageTransform } from "./batches.ts";

/** What {@link requireImages} compares. */
export interface ImageRequirements {
  /** The function on whose behalf it checks. */
  readonly caller: string;
  /** Shape of the images that the model takes. */
  readonly imageShape: ImageShape;
  /** Classes of the model, where it has any. */
  readonly numClasses?: number;
  /** True where the recipe augments its images. */
  readonly augments: boolean;
  /** The transform given, if any. */
  readonly transform: ImageTransform | undefined;
}

/** Throws unless the data fit the model, and there is something to augment images where the recipe asks for it. */
export function requireImages(
  data: ImageDataset | BatchSource,
  { caller, imageShape, numClasses, augments, transform }: ImageRequirements,
): void {
  const fail = (message: string) => {
    throw new DmaeError("argument", `${caller}: ${message}`);
  };
  if (`${data.imageShape}` !== `${imageShape}`)
    fail(
      `images must be [${imageShape}], got [${data.imageShape}]; set inputSize and channels of the model`,
    );
  if (numClasses !== undefined && "numClasses" in data && data.numClasses !== numClasses)
    fail(
      `numClasses of the model must be the ${data.numClasses} of ${data.name}, got ${numClasses}`,
    );
  if (augments && transform === undefined && !("at" in data))
    fail("this recipe augments its images; give a transform, a batchLoader, or augmentation: null");
}

/** The name of a data set, by which a run folder knows it; null for a batch source without one. */
export function dataName(data: ImageDataset | BatchSource): string | null {
  return "name" in data ? data.name : null;
}

/** The named properties of `from` that are not undefined: optional options to hand on. */
export function pick<T extends object, K extends keyof T>(
  from: T,
  names: readonly K[],
): { [P in K]?: Exclude<T[P], undefined> } {
  const picked: Partial<T> = {};
  for (const name of names) if (from[name] !== undefined) picked[name] = from[name];
  return picked as { [P in K]?: Exclude<T[P], undefined> };
}

/** Freezes a value and everything in it; returns it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null)
    for (const part of Object.values(Object.freeze(value))) deepFreeze(part);
  return value;
}
