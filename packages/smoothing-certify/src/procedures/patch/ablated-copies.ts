import { DmaeError, type FloatArray } from "@dmae/core";
import { checkOneOf } from "../../checks.ts";
import type { NoiseSource } from "../../noise/noise-source.ts";
import type { Ablations } from "./ablation.ts";

/**
 * How an ablated copy shows what it lacks:
 *
 * - `"fill"`: the pixels it lacks have a fixed value
 * - `"mask"`: one more channel, 1 where the pixel is kept; all channels are 0 elsewhere. A model that drops
 *   the tokens it cannot see, as a Smoothed ViT does, reads this
 * - `"complement"`: channels x and 1 - x; all are 0 where a pixel lacks (Levine and Feizi 2020)
 */
export type Encoding = "fill" | "mask" | "complement";

/** An image as its ablated copies have it. */
export interface EncodedImage {
  /** Rows, columns and channels of a copy. */
  readonly shape: readonly [number, number, number];
  /** Channels of a copy for each pixel of the image. */
  encode(image: FloatArray): FloatArray;
}

/** The encoding for images `[height, width]` or `[height, width, channels]`. */
export function encodingOf(
  caller: string,
  encoding: Encoding,
  imageShape: readonly number[],
): EncodedImage {
  const [height = 0, width = 0, channels = 1] = imageShape;
  if (imageShape.length < 2 || imageShape.length > 3)
    throw new DmaeError(
      "shape",
      `${caller}: an image must be [height, width] or [height, width, channels], got [${imageShape}]; give shape with a bare array`,
    );
  if (encoding === "fill") return { shape: [height, width, channels], encode: (image) => image };
  checkOneOf(caller, "encoding", encoding, ["fill", "mask", "complement"]);
  const added = encoding === "mask" ? 1 : channels;
  const all = channels + added;
  return {
    shape: [height, width, all],
    encode(image) {
      const encoded = new Float64Array(height * width * all).fill(1);
      for (let pixel = 0; pixel < height * width; pixel++)
        for (let c = 0; c < channels; c++) {
          const value = image[pixel * channels + c]!;
          encoded[pixel * all + c] = value;
          if (encoding === "complement") encoded[pixel * all + channels + c] = 1 - value;
        }
      return encoded;
    },
  };
}

/** The ablated copies in the place of noisy ones: sample i is copy i of the enumeration. */
export function ablatedCopies(
  ablations: Ablations,
  [height, width, channels]: readonly [number, number, number],
  fill: number,
): NoiseSource {
  const masks = new Map<number, Uint8Array>();
  const maskOf = (index: number) => {
    const known = masks.get(index);
    if (known) return known;
    const mask = Uint8Array.from({ length: height * width }, (_, pixel) =>
      ablations.keeps(index, Math.floor(pixel / width), pixel % width) ? 1 : 0,
    );
    if (masks.size * mask.length < 2 ** 24) masks.set(index, mask);
    return mask;
  };
  return {
    generator: `ablation/${ablations.name}`,
    fill(out, image, { first, count }) {
      for (let copy = 0; copy < count; copy++) {
        const mask = maskOf((first + copy) % ablations.count);
        const start = copy * image.length;
        for (let i = 0; i < image.length; i++)
          out[start + i] = mask[Math.floor(i / channels)] ? image[i]! : fill;
      }
    },
  };
}
