import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createConvNet } from "@dmae/convnet";
import { type ImageDataset, key } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { selectBackend } from "@dmae/nn";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type MethodRow, methodRows } from "./method-rows.ts";
import { runFolder, type Training, trainMethod } from "./train-row.ts";

const name = `train-row-test-${process.pid}`;
const folder = runFolder(name, 0);
beforeAll(() => selectBackend("cpu"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(`${folder}.precision`, { force: true });
});

const model = createConvNet("lenet", { inputSize: 16, numClasses: 3 });
const row: MethodRow = {
  name,
  recipe: { ...methodRows[0]!.recipe, model, batchSize: 4, epochs: 3 },
};
const images = (split: "train" | "test", length: number) =>
  synthetic({ key: key(1), imageShape: [16, 16, 1], numClasses: 3, length, split });
const training = (test: ImageDataset): Training => ({
  ...{ seed: 0, precision: "float32", train: images("train", 8), test },
  signal: new AbortController().signal,
});

it("--epochs stops after a checkpoint, and a checkpoint that fails then is told", async () => {
  const test = images("test", 4);
  const checkpoint = join(folder, "last.safetensors");
  expect(await trainMethod(row, training(test), 1)).toBeUndefined();
  expect(existsSync(checkpoint)).toBe(true);
  const get = (index: number) => {
    rmSync(checkpoint, { recursive: true, force: true });
    mkdirSync(checkpoint); // no file can be written where a folder is
    return test.get(index);
  };
  await expect(trainMethod(row, training({ ...test, get }), 1)).rejects.toThrow(
    "must be a file, got a folder",
  );
});
