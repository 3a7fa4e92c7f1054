import type { PixelImage } from "./pixels.ts";

/** Luma of the pixel at `i` in 16-bit fixed point (PIL `convert("L")`); a grey value as it is. */
export function luma(data: Uint8Array, i: number, channels: number): number {
  if (channels === 1) return data[i]!;
  return (data[i]! * 19595 + data[i + 1]! * 38470 + data[i + 2]! * 7471 + 0x8000) >> 16;
}

/** The image in grey (PIL `convert("L")`). */
export function toGrey({ data, height, width, channels }: PixelImage): PixelImage {
  const grey = Uint8Array.from({ length: height * width }, (_, i) =>
    luma(data, i * channels, channels),
  );
  return { data: grey, height, width, channels: 1 };
}
