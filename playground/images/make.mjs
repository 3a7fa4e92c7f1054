// Writes test-images.png: the first Fashion-MNIST test image of each class, beside each other (MIT licence, Xiao et al. 2017).
// node images/make.mjs; needs @dmae/datasets built
import { fashionMnist } from "@dmae/datasets";
import sharp from "sharp";

const { test } = await fashionMnist();
const indices = Array.from({ length: 10 }, (_, label) => {
  for (let i = 0; ; i++) if (test.get(i).label === label) return i;
});
const strip = new Uint8Array(28 * 280);
for (const [k, index] of indices.entries())
  test.get(index).image.forEach((value, i) => {
    strip[280 * Math.floor(i / 28) + 28 * k + (i % 28)] = Math.round(255 * value);
  });
const raw = { width: 280, height: 28, channels: 1 };
await sharp(strip, { raw })
  .png({ compressionLevel: 9 })
  .toFile(new URL("test-images.png", import.meta.url).pathname);
console.log(JSON.stringify(indices));
