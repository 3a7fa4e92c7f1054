import { DmaeError, foldIn, generator, type ImageShape, type Key } from "@dmae/core";
import type { PixelImage } from "./pixels.ts";

/** One step of an image transform: a plain object, so that it can be logged and sent to a worker. */
export type ImageOperation = { readonly op: "randomHorizontalFlip"; readonly probability: number };

/** A source of uniform draws in [0, 1). */
export type Draw = () => number;

/** Mirrors the image left to right with the given probability (torchvision `RandomHorizontalFlip`). */
export function randomHorizontalFlip(probability = 0.5): ImageOperation {
  if (!(probability >= 0 && probability <= 1))
    throw new DmaeError(
      "argument",
      `randomHorizontalFlip: probability must lie in [0, 1], got ${probability}`,
    );
  return { op: "randomHorizontalFlip", probability };
}

/** The image mirrored left to right. */
export function flipHorizontal({ data, height, width, channels }: PixelImage): PixelImage {
  const out = new Uint8Array(data.length);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++)
      for (let channel = 0; channel < channels; channel++)
        out[(row * width + column) * channels + channel] =
          data[(row * width + width - 1 - column) * channels + channel]!;
  return { data: out, height, width, channels };
}

/** True for operations that draw random numbers. */
export const isRandom = ({ op }: ImageOperation): boolean => op.startsWith("rand");

/**
 * Applies `operations` in order. Operation `i` draws from `foldIn(key, i)`, so what it draws does not
 * depend on the others.
 */
export function applyOperations(
  image: PixelImage,
  operations: readonly ImageOperation[],
  key: Key | undefined,
): PixelImage {
  return operations.reduce<PixelImage>((current, operation, i) => {
    if (!isRandom(operation)) return applyOperation(current, operation, noDraw);
    if (!key) throw new DmaeError("argument", `${operation.op}: a random operation needs a key`);
    return applyOperation(current, operation, generator(foldIn(key, i)));
  }, image);
}

const noDraw: Draw = () => {
  throw new Error("a fixed operation drew a random number");
};

function applyOperation(image: PixelImage, operation: ImageOperation, draw: Draw): PixelImage {
  return draw() < operation.probability ? flipHorizontal(image) : image;
}

/** The shape that `operations` give to images of shape `shape`. */
export function outputShape(operations: readonly ImageOperation[], shape: ImageShape): ImageShape {
  return shape;
}
