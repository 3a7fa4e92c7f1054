import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkInteger, show } from "../checks.ts";
import { readRegularFile } from "../files.ts";
import { inNode } from "../in-node.ts";
import { decodeInBrowser, type ImageSource, type Pixels, pixelsOf } from "./pixels.ts";

/** Options of {@link image}. */
export interface ImageOptions {
  /** The shorter side is resized to this, or the image to `[height, width]`; default: not resized. */
  readonly size?: number | readonly [height: number, width: number] | undefined;
  /** The middle `crop` x `crop` pixels are taken; default `size`, where that is a number. */
  readonly crop?: number | undefined;
  /**
   * 3 (default) for red, green and blue; 1 for grey, `0.299 R + 0.587 G + 0.114 B` rounded to a byte, as Pillow's
   * `convert("L")`.
   */
  readonly channels?: 1 | 3 | undefined;
}

/** An image with its shape, as {@link certify} takes it. */
export interface LoadedImage {
  /** Red, green and blue, or grey, in [0, 1], row by row. */
  readonly data: Float32Array;
  /** `[height, width, channels]`. */
  readonly shape: [height: number, width: number, channels: number];
}

const names = { size: true, crop: true, channels: true } satisfies OptionNames<ImageOptions>;

/**
 * Reads an image for {@link certify}: red, green and blue, or grey, as float32 in [0, 1], `[H, W, C]`. Transparency, colour profiles
 * and EXIF orientation are ignored. In Node, files and resizing need the optional packages `@dmae/datasets` and
 * `sharp`: JPEG, PNG, WebP, TIFF and GIF, resized as Pillow does (bicubic). Browsers decode and resize by themselves.
 *
 * Noise is added after this, so the radius is about the resized image: no change *of its pixels* shorter than
 * the radius changes the class. To certify the original pixels leave `size` out, and let the model resize noisy
 * copies: `fromOnnx(file, { size: 224 })`. Published ImageNet numbers are about images resized before.
 *
 * @param source path, URL, `Blob`, bytes of a file (`Uint8Array`, `Buffer`, `ArrayBuffer`), `ImageData` or a canvas
 * @throws {DmaeError} "file" for what is no readable image, "unsupported" where a package is missing
 * @example
 * const cat = await image("cat.jpg", { size: 256, crop: 224 }); // as torchvision's evaluation transform
 * const { radius } = await certify(classifier, cat, { sigma: 0.25 });
 */
export async function image(source: ImageSource, options: ImageOptions = {}): Promise<LoadedImage> {
  checkOptions("image", options, names);
  const { size, crop = typeof size === "number" ? size : undefined, channels = 3 } = options;
  if (channels !== 1 && channels !== 3)
    throw new DmaeError("argument", `image: channels must be 1 or 3, got ${show(channels)}`);
  if (Array.isArray(size) && size.length !== 2)
    throw new DmaeError(
      "argument",
      `image: size must be a number or [height, width], got [${size}]`,
    );
  for (const side of [size, crop].flat())
    if (side !== undefined) checkInteger("image", "size and crop", side as number);
  const pixels = pixelsOf(source) ?? (await bytesOf(source));
  const target = (height: number, width: number) => sizeOf(size, height, width);
  const whole = inNode
    ? await inPillow(pixels, labelOf(source), target)
    : await decodeInBrowser(pixels, target);
  const { data, height, width } = crop === undefined ? whole : centre(whole, crop);
  const bytes = channels === 1 ? toGrey(data) : data;
  return { data: Float32Array.from(bytes, (byte) => byte / 255), shape: [height, width, channels] };
}

/** Luminance (ITU-R BT.601) of red, green and blue bytes, in Pillow's fixed point. */
function toGrey(data: Uint8Array): Uint8Array {
  const grey = (i: number) =>
    (19595 * data[3 * i]! + 38470 * data[3 * i + 1]! + 7471 * data[3 * i + 2]! + 0x8000) >> 16;
  return Uint8Array.from({ length: data.length / 3 }, (_, i) => grey(i));
}

/** Height and width after resizing, the shorter side first, as torchvision's `Resize` rounds. */
function sizeOf(size: ImageOptions["size"], height: number, width: number): [number, number] {
  if (size === undefined) return [height, width];
  if (typeof size !== "number") return [...size];
  const long = Math.max(1, Math.floor((size * Math.max(height, width)) / Math.min(height, width)));
  return height < width ? [size, long] : [long, size];
}

async function bytesOf(source: ImageSource): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  if (typeof source !== "string" && !(source instanceof URL))
    throw new DmaeError(
      "argument",
      `image: source must be a path, URL, Blob, bytes, ImageData or canvas, got ${show(source)}`,
    );
  try {
    if (inNode && !/^(https?|data|blob):/i.test(String(source)))
      return await readRegularFile(
        /^file:/i.test(String(source)) ? new URL(source) : source,
        2 ** 26,
      );
    const response = await fetch(source);
    if (!response.ok) throw new Error(`HTTP ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("file", `image: cannot read ${labelOf(source)}: ${reason}`, {}, { cause });
  }
}

function labelOf(source: ImageSource): string {
  if (typeof source === "string" || source instanceof URL) return String(source).slice(0, 200);
  return "the given image";
}

/** Decodes and resizes as Pillow does, by `@dmae/datasets`. */
async function inPillow(
  source: Pixels | Uint8Array,
  label: string,
  target: (height: number, width: number) => [number, number],
): Promise<Pixels> {
  if (!(source instanceof Uint8Array)) {
    const [rows, columns] = target(source.height, source.width);
    if (rows === source.height && columns === source.width) return source;
  }
  const { decodeImage, resizePixels } = await loadPillow();
  const decoded = source instanceof Uint8Array ? await decodeImage(source, label) : source;
  return resizePixels({ ...decoded, channels: 3 }, ...target(decoded.height, decoded.width));
}

async function loadPillow() {
  try {
    const { decodeImage } = await import("@dmae/datasets/images");
    const { resizePixels } = await import("@dmae/datasets/transforms");
    return { decodeImage, resizePixels };
  } catch (cause) {
    throw new DmaeError(
      "unsupported",
      "image: files and resizing need @dmae/datasets and sharp; install them with npm install @dmae/datasets sharp",
      {},
      { cause },
    );
  }
}

/** Half of a whole number; halves go to the even number, as Python's `round` and so torchvision's `CenterCrop` have it. */
const halfOf = (rest: number) => (rest - (rest % 2)) / 2 + (rest % 4 === 3 ? 1 : 0);

function centre({ data, height, width }: Pixels, side: number): Pixels {
  if (side > height || side > width)
    throw new DmaeError(
      "argument",
      `image: crop must be at most the image's ${height}x${width} pixels, got ${side}; resize it first`,
    );
  const [top, left] = [halfOf(height - side), halfOf(width - side)];
  const out = new Uint8Array(3 * side * side);
  for (let y = 0; y < side; y++) {
    const start = 3 * ((top + y) * width + left);
    out.set(data.subarray(start, start + 3 * side), 3 * side * y);
  }
  return { data: out, height: side, width: side };
}
