import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportOnnx } from "@dmae/compile";
import { readLog } from "@dmae/smoothing-certify";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { main } from "../../packages/smoothing-certify/src/cli/cli-main.ts";
import { writePhotos } from "../../testing/image-folder.ts";
import { runPageProgram } from "../../testing/page-program.ts";
import { expectReadmeExample } from "../../testing/readme.ts";
import { temporaryFolders } from "../../testing/temporary-folder.ts";

// The programs of these pages run as they stand, in a folder that holds the files they name.

const scratch = temporaryFolders("dmae-start");
const before = process.cwd();
const here = (path: string) => new URL(path, import.meta.url);
const shipped = here("../../packages/models/files/fashion-mnist-cr-0.25/classifier.onnx");

beforeEach(() => process.chdir(scratch()));
afterEach(() => {
  process.chdir(before);
  vi.restoreAllMocks();
});

/** Runs the program of a page, and returns what it prints. */
const run = (page: string, example: string, load: () => Promise<unknown>) =>
  runPageProgram(here(`${page}.md`), here(`${example}.example.ts`), load);

/** A classifier of three classes, the colours, for photos of 224 x 224. */
const colours = () =>
  exportOnnx(
    { fn: ({ x }) => tf.mul(tf.mean(x!, [1, 2]), 10), specs: { x: [1, 224, 224, 3] } },
    { dynamicBatch: true },
  );

it("wraps a function", async () => {
  const load = () => import("./wrap-function.example.ts");
  const [printed] = await run("wrap", "wrap-function", load);
  expect(printed![0]).toBe(1);
  expect(printed![1]).toBeGreaterThan(0.39);
});

it("wraps an .onnx file, for a photo", async () => {
  writeFileSync("model.onnx", colours());
  const folder = await writePhotos(scratch(), { perClass: 1 });
  copyFileSync(join(folder, "class-0", "0.jpg"), "cat.jpg");
  const load = () => import("./wrap-file.example.ts");
  const [printed] = await run("wrap", "wrap-file", load);
  expect([0, 1, 2]).toContain(printed![0]);
});

it("certifies a data set", async () => {
  const [printed] = await run("dataset", "dataset", () => import("./dataset.example.ts"));
  expect(printed![0][0]).toBeGreaterThanOrEqual(0.6);
  expect(printed![1]).toBeGreaterThan(0.2);
  expect(await readLog("run.tsv")).toHaveLength(10);
});

it("trains on a folder of photos", async () => {
  await writePhotos(join(process.cwd(), "photos"), { perClass: 6 });
  const lines = await run("train", "train", () => import("./train.example.ts"));
  expect(lines[0]).toEqual([1, "of", 50, expect.any(Number), "s left"]); // ten images: one step an epoch
  const printed = lines.at(-1);
  expect(printed![1]).toBeGreaterThanOrEqual(0);
  expect(readFileSync("model.onnx").length).toBeGreaterThan(1e6);
}, 300_000);

it("chooses a backend", async () => {
  await writePhotos(join(process.cwd(), "photos"), { perClass: 6 });
  const printed = await run("card", "card", () => import("./card.example.ts"));
  expect(printed[0]![0]).toMatch(/wasm|cpu|tensorflow/);
  expect(printed[1]![0]).toBeGreaterThan(0);
}, 300_000);

it("shows the program of the shipped model, which the package's own tests run", () => {
  const program = here("../../packages/models/src/readme.example.ts");
  expectReadmeExample(here("shipped.md"), program);
});

it("certifies your own picture with the shipped model", async () => {
  const folder = await writePhotos(scratch(), { perClass: 1 });
  copyFileSync(join(folder, "class-0", "0.jpg"), "shoe.jpg");
  const [printed] = await run("shipped", "picture", () => import("./picture.example.ts"));
  expect(printed![0]).toBeTypeOf("string");
  expect(printed![1]).toBeGreaterThanOrEqual(0);
});

it("runs the commands of the pages on data sets and clusters", async () => {
  copyFileSync(shipped, "model.onnx");
  for (const page of ["dataset", "cluster"]) {
    const commands = readFileSync(here(`${page}.md`), "utf8").matchAll(
      /^npx smoothing-certify (.*)$/gm,
    );
    for (const [, line] of commands) {
      const errors: string[] = [];
      const print = { out: () => undefined, error: (text: string) => errors.push(text) };
      expect([await main(line!.split(" "), print), errors.join("")]).toEqual([
        0,
        expect.anything(),
      ]);
    }
  }
  expect(existsSync("curve.svg")).toBe(true);
  expect(await readLog("all.tsv")).toHaveLength(5);
});
