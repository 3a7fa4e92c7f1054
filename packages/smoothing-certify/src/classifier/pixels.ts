import { DmaeError } from "@dmae/core";

/** Pixels as canvases give them: red, green, blue and alpha bytes. */
export interface ImageDataLike {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** A canvas, in a browser or of a package for Node. */
export interface CanvasLike {
  readonly width: number;
  readonly height: number;
  /** Its drawing context, which gives the pixels. */
  getContext(kind: "2d"): unknown;
}

/** What `image` reads: a path, an address, the bytes of a file, or pixels. */
export type ImageSource =
  | string
  | URL
  | Blob
  | Uint8Array
  | ArrayBuffer
  | ImageDataLike
  | CanvasLike;

/** Red, green and blue bytes, row by row. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** The pixels of an `ImageData` or a canvas; undefined for other sources. */
export function pixelsOf(source: ImageSource): Pixels | undefined {
  if (typeof source !== "object" || source === null) return undefined;
  const { getContext, width, height } = source as CanvasLike;
  if (typeof getContext === "function")
    return withoutAlpha(read2d((source as CanvasLike).getContext("2d"), width, height));
  return "data" in source && "width" in source ? withoutAlpha(source) : undefined;
}

interface Context2d {
  drawImage(bitmap: object, x: number, y: number): void;
  getImageData(x: number, y: number, width: number, height: number): ImageDataLike;
}

function read2d(context: unknown, width: number, height: number): ImageDataLike {
  if (context && width > 0 && height > 0)
    return (context as Context2d).getImageData(0, 0, width, height);
  throw new DmaeError("argument", "image: a canvas must have a 2d context and pixels");
}

function withoutAlpha({ data, width, height }: ImageDataLike): Pixels {
  const isBytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  const count = width * height;
  if (!isBytes || !Number.isSafeInteger(count) || count < 1 || data.length !== 4 * count)
    throw new DmaeError(
      "argument",
      `image: ImageData must have 4 bytes for each of its ${width}x${height} pixels, got ${data?.length}`,
    );
  const out = new Uint8Array(3 * count);
  for (let pixel = 0; pixel < count; pixel++)
    for (let c = 0; c < 3; c++) out[3 * pixel + c] = data[4 * pixel + c]!;
  return { data: out, height, width };
}

/** What is used of a browser; Node's types lack it. */
interface Browser {
  createImageBitmap(source: Blob | object, options: object): Promise<Bitmap>;
  readonly OffscreenCanvas: new (width: number, height: number) => CanvasLike;
  readonly ImageData: new (data: Uint8ClampedArray, width: number, height: number) => object;
}

interface Bitmap {
  readonly width: number;
  readonly height: number;
  close(): void;
}

/** Decodes and resizes by the browser. */
export async function decodeInBrowser(
  source: Pixels | Uint8Array,
  target: (height: number, width: number) => [number, number],
): Promise<Pixels> {
  const browser = globalThis as unknown as Browser;
  const options = {
    imageOrientation: "none",
    premultiplyAlpha: "none",
    colorSpaceConversion: "none",
  };
  const given =
    source instanceof Uint8Array ? new Blob([source as never]) : toImageData(browser, source);
  try {
    let bitmap = await browser.createImageBitmap(given, options);
    const [rows, columns] = target(bitmap.height, bitmap.width);
    if (rows !== bitmap.height || columns !== bitmap.width) {
      const resize = { resizeHeight: rows, resizeWidth: columns, resizeQuality: "high" };
      bitmap.close();
      bitmap = await browser.createImageBitmap(given, { ...options, ...resize });
    }
    const canvas = new browser.OffscreenCanvas(bitmap.width, bitmap.height);
    (canvas.getContext("2d") as Context2d).drawImage(bitmap, 0, 0);
    bitmap.close();
    return pixelsOf(canvas)!;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("file", `image: it is not a readable image: ${reason}`, {}, { cause });
  }
}

function toImageData(browser: Browser, { data, width, height }: Pixels): object {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++)
    for (let c = 0; c < 3; c++) rgba[4 * pixel + c] = data[3 * pixel + c]!;
  return new browser.ImageData(rgba, width, height);
}
