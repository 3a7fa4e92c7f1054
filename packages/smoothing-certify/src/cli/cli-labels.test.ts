import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { expect, it } from "vitest";
import { commandRunner } from "../../../../testing/run-command.ts";
import { parseLog } from "../log/log-reader.ts";
import { main } from "./cli-main.ts";

const model = fileURLToPath(new URL("../__fixtures__/preprocessing/first.onnx", import.meta.url));
const at = mkdtempSync(join(tmpdir(), "smoothing-labels-"));
const data = join(at, "data.mjs"); // two classes of the model's three
writeFileSync(
  data,
  "export default { name: 'd', length: 4, imageShape: [4, 4, 3], numClasses: 2, classNames: ['cat', 'dog'], get: (i) => ({ image: new Float32Array(48).fill(i / 4), label: i % 2 }) };",
);
const labels = (map: unknown) => {
  const file = join(at, "map.json");
  writeFileSync(file, JSON.stringify(map));
  return file;
};

const command = commandRunner(main);
const run = (...more: string[]) =>
  command("certify", "--model", model, "--data", data, "--sigma", "0.25", "--n", "20", ...more);

it("certifies a model on a few of its classes, by the names of the data's classes", async () => {
  const { status, out, error } = await run("--labels", labels({ cat: 2, dog: 0, cow: 1 }));
  expect(status, error).toBe(0);
  expect(parseLog(out).map(({ label }) => label)).toEqual([2, 0, 2, 0]);
  expect(parseLog(out)[0]!.counts).toHaveLength(3);
  expect(error).not.toContain("\r"); // no line to overwrite off a terminal
  expect(error.endsWith("\n")).toBe(true);
});

it("takes labels that are the model's already with --num-classes", async () => {
  const { status, out, error } = await run("--num-classes", "3");
  expect(status, error).toBe(0);
  expect(parseLog(out).map(({ label }) => label)).toEqual([0, 1, 0, 1]);
});

it.each<[string[], string]>([
  [[], "--labels is needed: the model has 3 classes, the data 2"],
  [["--labels", labels({ cat: 2 })], 'must give class "dog" of the data an integer in [0, 3)'],
  [["--labels", "nowhere.json"], "--labels: cannot read nowhere.json: ENOENT"],
  [["--labels", "/dev/zero"], "--labels: cannot read /dev/zero: it is no regular file"],
  [["--labels", "."], "--labels: cannot read .: it is a folder, not a file"],
])("says what is wrong with %j", async (more, message) => {
  if (more[1]?.endsWith("map.json")) labels({ cat: 2 });
  const { status, error } = await run(...more);
  expect([status, error]).toEqual([1, expect.stringContaining(message)]);
});

it("certifies a folder of photographs by their classes' names", async () => {
  const { mkdirSync } = await import("node:fs");
  const root = join(at, "photos");
  for (const name of ["cat", "dog"]) {
    mkdirSync(join(root, name), { recursive: true });
    const create = { width: 9, height: 6, channels: 3 as const, background: "#a04060" };
    await sharp({ create })
      .png()
      .toFile(join(root, name, "0.png"));
  }
  const map = labels({ cat: 1, dog: 2 });
  const folder = ["--data", root, "--image-size", "4", "--labels", map];
  const { status, out, error } = await run(...folder);
  expect(status, error).toBe(0);
  const split = await run(...folder, "--split", "train");
  expect(split.error).toContain("--split is for data sets with two splits");
  expect(parseLog(out).map(({ label }) => label)).toEqual([1, 2]);
});
