import { expect, test } from "vitest";
import { toPixels, toUnit } from "./pixels.ts";

test("bytes become value / 255 in float32, and come back, whatever the length and the place", () => {
  for (const length of [0, 1, 3, 4, 5, 7, 256]) {
    const pixels = Uint8Array.from({ length }, (_, i) => (i * 37) % 256);
    const out = new Float32Array(length + 3).fill(9);
    toUnit(pixels, out, 2);
    const expected = Array.from(pixels, (value) => Math.fround(value / 255));
    expect(Array.from(out)).toEqual([9, 9, ...expected, 9]);
    expect(toPixels(toUnit(pixels), [1, length, 1]).data).toEqual(pixels);
  }
});

test("floats outside [0, 1] become the nearest byte", () => {
  expect(Array.from(toPixels(Float32Array.of(-1, 2, 0.5019, 0.499), [1, 4, 1]).data)).toEqual([
    0, 255, 128, 127,
  ]);
});
