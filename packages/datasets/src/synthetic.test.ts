import { key } from "@dmae/core";
import { expect, test } from "vitest";
import { synthetic } from "./synthetic.ts";

test("images are a function of key, split and index", () => {
  const one = synthetic({ length: 20, key: key(1) });
  const again = synthetic({ length: 40, key: key(1) });
  expect(one.pixels(13)).toEqual(again.pixels(13));
  expect(one.pixels(13).data).not.toEqual(one.pixels(3).data); // the same class
  expect(one.pixels(13).data).not.toEqual(synthetic({ length: 20, key: key(2) }).pixels(13).data);
  const test = synthetic({ length: 20, key: key(1), split: "test" });
  expect(one.pixels(13).data).not.toEqual(test.pixels(13).data);
  expect(Array.from({ length: 20 }, (_, i) => one.get(i).label)).toEqual(
    Array.from({ length: 20 }, (_, i) => i % 10),
  );
});

/** The strongest frequencies of an image: phase-free features, as a linear classifier would learn them. */
function spectrum(image: Float32Array): number[] {
  const powers: number[] = [];
  for (let u = 0; u < 6; u++)
    for (let v = -5; v < 6; v++) {
      let real = 0;
      let imaginary = 0;
      for (let row = 0; row < 28; row++)
        for (let column = 0; column < 28; column++) {
          const angle = (2 * Math.PI * (u * row + v * column)) / 28;
          const value = image[row * 28 + column]! - 0.5;
          real += value * Math.cos(angle);
          imaginary += value * Math.sin(angle);
        }
      powers.push(Math.hypot(real, imaginary));
    }
  return powers;
}

test("nearest class mean of the spectrum classifies unseen images", () => {
  const train = synthetic({ length: 200, key: key(4) });
  const test = synthetic({ length: 100, key: key(4), split: "test" });
  const means = Array.from({ length: 10 }, () => new Array<number>(66).fill(0));
  for (let i = 0; i < train.length; i++)
    spectrum(train.get(i).image).forEach((power, j) => {
      means[i % 10]![j]! += power / 20;
    });
  let right = 0;
  for (let i = 0; i < test.length; i++) {
    const { image, label } = test.get(i);
    const features = spectrum(image);
    const distances = means.map((mean) => Math.hypot(...mean.map((m, j) => m - features[j]!)));
    if (distances.indexOf(Math.min(...distances)) === label) right++;
  }
  expect(right).toBeGreaterThanOrEqual(95);
});

test("colour images, other sizes, and ranges", () => {
  const colour = synthetic({ length: 3, key: key(0), imageShape: [8, 6, 3], numClasses: 2 });
  expect(colour.get(2).image).toHaveLength(144);
  expect(Math.max(...colour.get(2).image)).toBeLessThanOrEqual(1);
  expect(() => colour.get(3)).toThrow("[0, 3)");
  expect(() => synthetic({ length: 1.5, key: key(0) })).toThrow("length must be an integer");
  expect(() => synthetic({ length: 1, key: key(0), numClasses: 0 })).toThrow("numClasses");
});
