import type { ImageDataset, LabeledImage } from "@dmae/core";
import type { PixelDataset } from "@dmae/datasets";

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
