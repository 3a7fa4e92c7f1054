import { PNG } from "pngjs";

/** A grey picture, values in [0, 1] (clipped when drawn). */
export interface Picture {
  pixels: ArrayLike<number>;
  width: number;
  height: number;
}

/** Several images of one size side by side in rows, `gap` white pixels between them. */
export function sheet(rows: readonly ArrayLike<number>[][], side: number, gap = 2): Picture {
  const columns = Math.max(...rows.map((row) => row.length));
  const width = columns * (side + gap) - gap;
  const height = rows.length * (side + gap) - gap;
  const pixels = new Float32Array(width * height).fill(1);
  rows.forEach((row, r) => {
    row.forEach((image, c) => {
      for (let y = 0; y < side; y++)
        for (let x = 0; x < side; x++)
          pixels[(r * (side + gap) + y) * width + c * (side + gap) + x] = image[y * side + x]!;
    });
  });
  return { pixels, width, height };
}

/** A picture as a PNG, each pixel drawn `scale` times as large. */
export function toPng({ pixels, width, height }: Picture, scale = 3): Buffer {
  const png = new PNG({ width: width * scale, height: height * scale });
  for (let y = 0; y < png.height; y++) {
    for (let x = 0; x < png.width; x++) {
      const value = pixels[Math.floor(y / scale) * width + Math.floor(x / scale)]!;
      const grey = Math.round(255 * Math.min(1, Math.max(0, value)));
      png.data.set([grey, grey, grey, 255], 4 * (y * png.width + x));
    }
  }
  return PNG.sync.write(png, { colorType: 0 });
}

/** A `data:` address that puts the picture into the page itself. */
export const dataUri = (png: Buffer) => `data:image/png;base64,${png.toString("base64")}`;
