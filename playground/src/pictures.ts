// Pixels on canvases.
import type { Picture } from "./messages.ts";

/** Draws a picture, or part of a batch of them, onto a canvas of its size. */
export function draw(canvas: HTMLCanvasElement, { data, shape }: Picture, first = 0): void {
  const [height = 1, width = 1, channels = 1] = shape;
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  const start = first * height * width * channels;
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++)
      pixels.data[4 * i + c] = 255 * data[start + i * channels + (channels === 3 ? c : 0)]!;
    pixels.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d")!.putImageData(pixels, 0, 0);
}

/** The difference of two pictures about grey, stretched to the whole range. */
export function difference(a: Picture, b: Picture): Picture {
  const change = a.data.map((value, i) => value - b.data[i]!);
  const largest = change.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  return { data: change.map((value) => 0.5 + value / (2 * largest)), shape: a.shape };
}

/** The pixels of a drawable thing, its middle square. */
export function pixelsOf(source: CanvasImageSource, width: number, height: number): ImageData {
  const side = Math.min(width, height);
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d")!;
  context.drawImage(source, (side - width) / 2, (side - height) / 2);
  return context.getImageData(0, 0, side, side);
}
