import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { files } from "@dmae/fashion-mnist";
import { expect, test } from "vitest";
import { fashionMnist } from "./fashion-mnist.ts";

/** MD5 of the published .gz files, from the README of github.com/zalandoresearch/fashion-mnist. */
const published = {
  trainImages: ["train-images-idx3-ubyte", 1504176606, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"],
  trainLabels: ["train-labels-idx1-ubyte", 1504176606, "25c81989df183df01b3e8a0aad5dffbe"],
  testImages: ["t10k-images-idx3-ubyte", 1504176627, "bef4ecab320f06d8554ea6380940ec79"],
  testLabels: ["t10k-labels-idx1-ubyte", 1504176627, "bb300cfdad3c16e7a12a480ee83cd310"],
} as const;

/** Ours lack the original name and time in the gzip header; with them back, the MD5 must be the published one. */
function withNameAndTime(bytes: Buffer, name: string, time: number): Buffer {
  const header = Buffer.from(bytes.subarray(0, 10));
  header[3] = 8; // flag: a file name follows the header
  header.writeUInt32LE(time, 4);
  return Buffer.concat([header, Buffer.from(`${name}\0`), bytes.subarray(10)]);
}

test("the four files are the published ones but for the name and time in the gzip header", () => {
  for (const split of Object.keys(published) as (keyof typeof published)[]) {
    const [name, time, md5] = published[split];
    const bytes = withNameAndTime(readFileSync(files[split]), name, time);
    expect(createHash("md5").update(bytes).digest("hex")).toBe(md5);
  }
});

test("60,000 and 10,000 images, balanced over ten named classes", async () => {
  const { train, test } = await fashionMnist();
  expect([train.length, test.length]).toEqual([60_000, 10_000]);
  expect(train.imageShape).toEqual([28, 28, 1]);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < train.length; i++) counts[train.pixels(i).label]!++;
  expect(counts).toEqual(new Array(10).fill(6_000));
  expect(test.classNames?.[test.get(0).label]).toBe("Ankle boot");
});

test("the training pixels have the mean and deviation that the field normalises with", async () => {
  const train = await fashionMnist({ split: "train" });
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < train.length; i++)
    for (const value of train.pixels(i).data) {
      sum += value;
      squares += value * value;
    }
  const count = train.length * 784 * 255;
  const mean = sum / count;
  expect(mean).toBeCloseTo(0.286, 4);
  expect(Math.sqrt(squares / (count * 255) - mean * mean)).toBeCloseTo(0.353, 4);
});
