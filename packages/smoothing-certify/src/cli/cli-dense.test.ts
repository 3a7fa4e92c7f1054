import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { commandRunner } from "../../../../testing/run-command.ts";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { main } from "./cli-main.ts";

const folder = temporaryFolders("smoothing-cli-dense");
let place: string;
const at = (name: string) => join(place, name);
beforeAll(() => {
  place = folder();
  // images of four pixels: 0, 1 and twice 1/2
  writeFileSync(
    at("data.mjs"),
    `export default { name: "four", length: 2, imageShape: [2, 2, 1], numClasses: 2,
      get: () => ({ image: Float32Array.of(0, 1, 0.5, 0.5), label: 0 }) };`,
  );
  // a class for each pixel, a score for each pixel, their sum and their difference
  writeFileSync(
    at("models.mjs"),
    `const rows = (batch, n, f) => Array.from({ length: n }, (_, i) => f([...batch.subarray(4 * i, 4 * i + 4)]));
     export const classes = (batch, [n]) => rows(batch, n, (x) => x.map((v) => (v > 0.5 ? 1 : 0)));
     export const scores = (batch, [n]) => rows(batch, n, (x) => x.map((v) => v - 0.5));
     export const sums = (batch, [n]) => rows(batch, n, ([a, b]) => [a + b, b - a]);`,
  );
});

const command = commandRunner(main);

async function run(word: string, name: string, ...more: string[]) {
  const model = ["--model", at("models.mjs"), "--export", name, "--data", at("data.mjs")];
  const printed = await command(word, ...model, "--sigma", "0.2", "--seed", "1", ...more);
  const lines = printed.out.trimEnd().split("\n");
  return { ...printed, rows: lines.map((line) => line.split("\t")) };
}

it("segment prints the certified class of every pixel", async () => {
  const more = ["--num-classes", "2", "--answer", "classes", "--n", "200", "--max", "1"];
  const { status, error, rows } = await run("segment", "classes", ...more);
  expect(status, error).toBe(0);
  expect(rows[0]).toEqual([
    "idx",
    "radius",
    "samples",
    "components",
    "abstained",
    "classes",
    "seed",
  ]);
  const [idx, radius, samples, ...found] = rows[1]!;
  expect([idx, samples, ...found]).toEqual(["0", "300", "4", "2", "0x1 1x1 -1x2", "1"]);
  expect(Number(radius)).toBeCloseTo(0.2 * 0.6744897501960817, 12); // sigma Phi^-1(0.75)
});

it("labels prints what is present, absent and open", async () => {
  const { status, error, rows } = await run("labels", "scores", "--n", "200", "--n0", "50");
  expect(status, error).toBe(0);
  expect(rows).toHaveLength(3);
  expect(rows[2]!.slice(2)).toEqual(["250", "1", "0", "2,3", "1"]);
});

it("regress prints the median and its bounds", async () => {
  const { status, error, rows } = await run("regress", "sums", "--radius", "0.1", "--n", "1000");
  expect(status, error).toBe(0);
  const [value, lower, upper] = rows[1]!.slice(3, 6).map((cell) => cell.split(",").map(Number));
  // both outputs are 1 on the image, and move by up to sqrt(2) 0.1 within the radius
  for (const i of [0, 1]) {
    expect(Math.abs(value![i]! - 1)).toBeLessThan(0.05);
    expect(lower![i]).toBeLessThan(1 - 0.1 * Math.SQRT2);
    expect(lower![i]).toBeGreaterThan(0.7);
    expect(upper![i]).toBeGreaterThan(1 + 0.1 * Math.SQRT2);
    expect(upper![i]).toBeLessThan(1.3);
  }
});

it.each([
  ["segment", [], "--num-classes is needed"],
  ["segment", ["--num-classes", "2", "--tau", "0.4"], "tau must lie in [0.5, 1), got 0.4"],
  ["segment", ["--num-classes", "2", "--answer", "map"], "--answer must be logits, logits-first"],
  ["labels", ["--threshold", "high"], "--threshold must be a number"],
  ["labels", ["--n", "5"], "samples cannot certify tau 0.75"],
  ["regress", [], "--radius is needed"],
  ["regress", ["--radius", "9"], "samples are too few for bounds on 1 output at radius 9"],
  ["regress", ["--radius", "1", "--n0", "5"], "unknown option --n0"],
])("%s %j is an error", async (command, more, message) => {
  const { status, error } = await run(command, "sums", ...more);
  expect(status).toBe(1);
  expect(error).toContain(message);
});
