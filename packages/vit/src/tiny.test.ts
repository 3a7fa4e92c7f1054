import { describe, expect, it } from "vitest";
import { createViT, tiny } from "./index.ts";
import { IMAGENET_NORMALIZATION } from "./parts.ts";

const images = (side: number, channels: number, values: number[], async = false) => ({
  ...{ name: "images", length: values.length, numClasses: 7 },
  imageShape: [side, side, channels] as const,
  get: (index: number) => {
    const image = new Float32Array(side * side * channels).fill(values[index]!);
    const item = { image, label: 0 };
    return async ? (Promise.resolve(item) as never) : item;
  },
});

describe("tiny", () => {
  it("takes size, channels, classes and statistics from the data set", () => {
    const options = tiny(images(28, 1, [0.2, 0.4]));
    expect(options).toMatchObject({ imageSize: 28, inputSize: 28, patchSize: 4, channels: 1 });
    expect(options).toMatchObject({ numClasses: 7, mean: [0.3], std: [0.1] });
    expect(createViT(options).imageShape).toEqual([28, 28, 1]);
    expect(tiny(images(28, 1, [0.2]), { depth: 2 }).depth).toBe(2);
  });

  it("cuts about 8 x 8 patches, whatever the side", () => {
    const cut = (side: number, channels = 3) => {
      const { patchSize, imageSize } = tiny(images(side, channels, [0.5]));
      return [patchSize, imageSize];
    };
    expect([8, 10, 13].map((side) => cut(side, 1))).toEqual([
      [2, 8],
      [2, 10],
      [2, 14],
    ]); // no patch of one number
    expect([8, 12, 32, 96, 224].map((side) => cut(side))).toEqual([
      [1, 8],
      [2, 12],
      [4, 32],
      [12, 96],
      [28, 224],
    ]);
    for (const side of [1, 5, 17, 31, 97, 227]) createViT(tiny(images(side, 3, [0.5])));
  });

  it("takes ImageNet's statistics where images are decoded from files", () => {
    expect(tiny(images(32, 3, [0.1], true))).toMatchObject(IMAGENET_NORMALIZATION);
    expect(tiny(images(32, 1, [0.1], true))).toMatchObject({ mean: [0.449], std: [0.226] });
  });

  it("refuses images that are not square", () => {
    const wide = { ...images(4, 1, [0]), imageShape: [4, 6, 1] as const };
    for (const images of [null, undefined, "photos", {}])
      expect(() => tiny(images as never)).toThrow("tiny: images must be a data set");
    expect(() => tiny(wide)).toThrow(
      "tiny: images must be square, got [4,6,1]; load them in one size",
    );
  });
});
