import { DmaeError, foldIn, type ImageShape, type Key, normal } from "@dmae/core";
import { generator } from "@dmae/core/random";
import {
  crop,
  cropCenter,
  cropPadded,
  drawCropBox,
  resizeShorterSide,
  shorterSide,
} from "./crop.ts";
import { type ImageOperation, isRandom } from "./operations.ts";
import { type PixelImage, toUnit } from "./pixels.ts";
import { applyRandAugment, type Draws, drawRandAugment } from "./rand-augment.ts";
import { drawErasedBox, eraseBox } from "./random-erasing.ts";
import { resizePixels } from "./resize.ts";
import { resizeAndCropCenter } from "./resize-window.ts";

/**
 * Applies `operations` to an image and writes the float32 result. Operation `i` draws from `foldIn(key, i)`,
 * so what it draws does not depend on the others.
 *
 * @param out where the result goes, from `offset` on
 */
export function renderImage(
  image: PixelImage,
  operations: readonly ImageOperation[],
  key: Key | undefined,
  out: Float32Array,
  offset = 0,
): void {
  let current = image;
  for (const [i, operation] of operations.entries()) {
    const before = operations[i - 1];
    const after = operations[i + 1];
    if (operation.op === "randomErasing") continue;
    if (operation.op === "resize" && after?.op === "centerCrop") continue; // done with the crop
    current =
      operation.op === "centerCrop" && before?.op === "resize"
        ? resizeAndCropCenter(current, before.size, operation.size)
        : applyOperation(current, operation, drawsFor(operation, key, i));
  }
  toUnit(current.data, out, offset);
  const last = operations.at(-1);
  if (last?.op !== "randomErasing") return;
  const { uniform, normal } = drawsFor(last, key, operations.length - 1);
  const box = drawErasedBox(current.height, current.width, last.probability, uniform);
  const view = out.subarray(offset, offset + current.data.length);
  if (box) eraseBox(view, current.width, box, last.mean, last.std, normal);
}

/**
 * The shape that `operations` give to images of shape `shape`, or of any size where `shape` is undefined.
 *
 * @throws DmaeError "argument" for operations that do not fit the images or each other
 */
export function outputShape(
  caller: string,
  operations: readonly ImageOperation[],
  shape: ImageShape | undefined,
  channels: number,
): ImageShape {
  let current = shape;
  for (const [i, operation] of operations.entries()) {
    checkFits(caller, operation, channels, i === operations.length - 1);
    checkWindow(caller, operation, current);
    if (
      operation.op === "randomResizedCrop" ||
      operation.op === "centerCrop" ||
      operation.op === "randomCrop"
    )
      current = [operation.size, operation.size, channels];
    if (operation.op === "resize" && current) {
      const { height, width } = shorterSide(
        { height: current[0], width: current[1] },
        operation.size,
      );
      current = [height, width, channels];
    }
  }
  if (current) return current;
  throw new DmaeError(
    "argument",
    `${caller}: images of different sizes need a transform with randomResizedCrop or centerCrop`,
  );
}

/** A random window must lie inside the padded image. */
function checkWindow(caller: string, operation: ImageOperation, shape: ImageShape | undefined) {
  if (operation.op !== "randomCrop") return;
  const { size, padding } = operation;
  if (shape && Math.min(shape[0], shape[1]) + 2 * padding >= size) return;
  const got = shape ? `images of ${shape[0]}x${shape[1]}` : "images of different sizes";
  throw new DmaeError(
    "argument",
    `${caller}: randomCrop of ${size} pixels with padding ${padding} got ${got}; resize and crop them first`,
  );
}

function checkFits(caller: string, operation: ImageOperation, channels: number, last: boolean) {
  const fail = (why: string) => {
    throw new DmaeError("argument", `${caller}: ${operation.op} ${why}`);
  };
  if (operation.op === "randAugment" && (channels !== 3 || operation.fill.length !== 3))
    fail(`works on images of three channels, got ${channels}`);
  if (operation.op !== "randomErasing") return;
  if (!last) fail("must be the last operation");
  if (operation.mean.length !== channels)
    fail(`needs mean and std for ${channels} channels, got ${operation.mean.length}`);
}

function applyOperation(image: PixelImage, operation: ImageOperation, draws: Draws): PixelImage {
  switch (operation.op) {
    case "resize":
      return resizeShorterSide(image, operation.size);
    case "centerCrop":
      return cropCenter(image, operation.size);
    case "randomResizedCrop": {
      const { size, scale, ratio } = operation;
      const box = drawCropBox(image.height, image.width, scale, ratio, draws.uniform);
      return resizePixels(crop(image, box), size, size);
    }
    case "randomCrop":
      return cropPadded(image, operation, draws.uniform);
    case "randomHorizontalFlip":
      return draws.uniform() < operation.probability ? flipHorizontal(image) : image;
    case "randAugment":
      return applyRandAugment(image, drawRandAugment(operation, draws), operation.fill);
    default:
      throw new DmaeError(
        "argument",
        `transform: the operation ${JSON.stringify(operation)} is not known`,
      );
  }
}

/** The image mirrored left to right. */
export function flipHorizontal({ data, height, width, channels }: PixelImage): PixelImage {
  const out = new Uint8Array(data.length);
  for (let row = 0, target = 0; row < height; row++)
    for (let column = width - 1; column >= 0; column--)
      for (let channel = 0; channel < channels; channel++)
        out[target++] = data[(row * width + column) * channels + channel]!;
  return { data: out, height, width, channels };
}

/** The draws of operation `position`; nothing to draw for a fixed operation. */
function drawsFor(operation: ImageOperation, key: Key | undefined, position: number): Draws {
  if (!isRandom(operation)) return noDraws;
  if (!key) throw new DmaeError("argument", `${operation.op}: a random operation needs a key`);
  const own = foldIn(key, position);
  const normals = foldIn(own, "normal");
  let chunk: Float32Array = new Float32Array(0);
  let used = 0;
  let index = 0;
  return {
    uniform: generator(own),
    normal() {
      if (used === chunk.length) {
        chunk = normal(normals, 64, { index: index++ });
        used = 0;
      }
      return chunk[used++]!;
    },
  };
}

const noDraws: Draws = {
  uniform: () => Number.NaN,
  normal: () => Number.NaN,
};
