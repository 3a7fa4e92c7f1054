import { DmaeError, foldIn, type ImageDataset, type Key, type LabeledImage } from "@dmae/core";
import { type BatchLoader, batchLoader, type PixelDataset } from "@dmae/datasets";
import { noiseKeys } from "@dmae/train";
import { augmentation, type Data } from "./data.ts";
import type { Recipe } from "./recipe.ts";

/** What batches of training need besides the recipe. */
export interface LoaderOptions {
  /** The run's key. */
  readonly key: Key;
  /** Side of the images. */
  readonly side: number;
  /** Threads; 0 works on the calling thread. */
  readonly workers: number;
  /** Told of each damaged image, which the next readable one replaces. */
  readonly onCorrupt: (error: DmaeError) => void;
}

/** Training batches by step, decoded, augmented and with their noise drawn ahead of the step. */
export function trainingLoader(recipe: Recipe, data: Data, options: LoaderOptions): BatchLoader {
  const { key, side, workers, onCorrupt } = options;
  const { batchSize, accumulate } = recipe.training;
  if (data.train.length < batchSize * accumulate)
    throw new DmaeError(
      "argument",
      `data: ${data.train.name} has ${data.train.length} images, fewer than the effective batch of ${batchSize} x ${accumulate}; set batchSize or accumulate`,
    );
  const copies = "copies" in recipe.training ? recipe.training.copies : 1;
  return batchLoader(data.train, {
    batchSize,
    key: foldIn(key, "data"),
    shuffle: true,
    dropLast: true,
    transform: augmentation(recipe, side, data),
    workers,
    noiseKeys: noiseKeys(key, copies),
    onCorrupt,
  });
}

/** A view of a data set that is read from front to back: the images that follow are decoded meanwhile. */
export function readAhead(dataset: PixelDataset, ahead: number): ImageDataset {
  const waiting = new Map<number, Promise<LabeledImage>>();
  const ask = (index: number) => {
    const known = waiting.get(index);
    if (known) return known;
    const image = Promise.resolve().then(() => dataset.get(index));
    image.catch(() => {}); // told to whoever asks for the image
    waiting.set(index, image);
    return image;
  };
  return {
    ...dataset,
    get(index) {
      for (const old of waiting.keys()) if (old < index) waiting.delete(old);
      const image = ask(index);
      for (let next = index + 1; next <= index + ahead && next < dataset.length; next++) ask(next);
      return image;
    },
  };
}
