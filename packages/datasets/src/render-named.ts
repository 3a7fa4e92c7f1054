import { DmaeError, type Key } from "@dmae/core";
import { renderImage } from "./apply-operations.ts";
import type { ImageOperation } from "./operations.ts";
import type { PixelImage } from "./pixels.ts";

/** `renderImage` for the image of a file: an error about the size of the image names the file. */
export function renderNamed(
  name: string | undefined,
  image: PixelImage,
  operations: readonly ImageOperation[],
  key: Key | undefined,
  out: Float32Array,
  offset = 0,
): void {
  try {
    renderImage(image, operations, key, out, offset);
  } catch (error) {
    if (name === undefined || !DmaeError.isInstance(error) || !("height" in error.details))
      throw error;
    const { code, message, details } = error;
    throw new DmaeError(code, `${message} (${name})`, { ...details, file: name }, { cause: error });
  }
}
