import { key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { expect, test } from "vitest";
import type { PixelImage } from "./pixels.ts";
import { resizeInJavaScript } from "./resize-javascript.ts";
import { resizeInWasm } from "./resize-wasm.ts";

const draw = generator(key("resize"));
const below = (limit: number) => Math.floor(draw() * limit);

/** Noise and hard edges, which overshoot below 0 and beyond 255. */
function picture(height: number, width: number): PixelImage {
  const data = Uint8Array.from({ length: height * width * 3 }, () =>
    draw() < 0.6 ? 255 * below(2) : below(256),
  );
  return { data, height, width, channels: 3 };
}

test("WebAssembly and plain JavaScript give the same bytes, whatever the sizes", () => {
  for (let i = 0; i < 300; i++) {
    const image = picture(1 + below(90), 1 + below(90));
    const height = below(4) === 0 ? image.height : 1 + below(120);
    const width = below(4) === 0 ? image.width : 1 + below(120);
    const fast = resizeInWasm(image, height, width);
    const plain = resizeInJavaScript(image, height, width);
    expect(fast, "WebAssembly is there").toBeDefined();
    expect([fast!.height, fast!.width, fast!.channels]).toEqual([height, width, 3]);
    const at = `case ${i}: ${image.height}x${image.width} to ${height}x${width}`;
    expect(Buffer.compare(fast!.data, plain.data), at).toBe(0);
  }
});

test("memory of the module: a large image after small ones, results of their own", () => {
  const small = resizeInWasm(picture(20, 20), 10, 10)!;
  const before = small.data.slice();
  const large = picture(700, 900);
  const result = resizeInWasm(large, 224, 300)!;
  expect(Buffer.compare(result.data, resizeInJavaScript(large, 224, 300).data)).toBe(0);
  expect(small.data).toEqual(before);
});

test("grey and huge images are left to plain JavaScript", () => {
  const grey = { data: new Uint8Array(100), height: 10, width: 10, channels: 1 };
  expect(resizeInWasm(grey, 5, 5)).toBeUndefined();
  const huge = { data: new Uint8Array(3 * 4000 * 4000), height: 4000, width: 4000, channels: 3 };
  expect(resizeInWasm(huge, 10, 10)).toBeUndefined();
});
