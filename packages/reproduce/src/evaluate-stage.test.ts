import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { readMeasurements } from "./evaluate-stage.ts";

const folder = temporaryFolders("evaluate");

const part = { model: "m", what: "clean", sigma: 0, seed: 0, dataset: "test x 1" };
const parts = [
  { ...part, from: 0, images: 2000, accuracy: 0.5, loss: 1 },
  { ...part, from: 2000, images: 1000, accuracy: 0.8, loss: 4 },
  { ...part, from: 0, images: 2000, accuracy: 0.5, loss: 1 }, // measured by two processes
  { ...part, from: 0, model: "another", images: 2000, accuracy: 0.1, loss: 9 },
  { ...part, from: 0, sigma: 0.25, what: "noisy", images: 2000, accuracy: 0.4, loss: 2 },
];

test("a part that is there twice counts once", async () => {
  const run = folder();
  mkdirSync(join(run, "evaluate"));
  const text = parts.map((line) => JSON.stringify(line)).join("\n");
  writeFileSync(join(run, "evaluate", "parts.jsonl"), `${text}\n`);
  expect(await readMeasurements(run, "m")).toEqual([
    { what: "clean", sigma: 0, images: 3000, accuracy: (1000 + 800) / 3000, loss: 2 },
    { what: "noisy", sigma: 0.25, images: 2000, accuracy: 0.4, loss: 2 },
  ]);
});
