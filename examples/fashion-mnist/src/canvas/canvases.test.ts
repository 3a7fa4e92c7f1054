import "@tensorflow/tfjs-backend-cpu";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ImageDataset, key, uniform } from "@dmae/core";
import { lockFile } from "@dmae/core/files";
import { disposeTensors, selectBackend, toTensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test, vi } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { background, canvases, side } from "./canvases.ts";
import { certifyCanvases, resultsIn } from "./certify-canvases.ts";
import { applyDense, initDense } from "./dense-vit.ts";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return { ...real, readFile: vi.fn(real.readFile) };
});

const folder = temporaryFolders("canvas");

/** Items that are bright in the left half; the class is the index. */
const items: ImageDataset = {
  name: "halves",
  length: 10,
  imageShape: [28, 28, 1],
  numClasses: 10,
  get: (i) => ({
    image: Float32Array.from({ length: 784 }, (_, p) => (p % 28 < 14 ? 0.5 : 0.05)),
    label: i,
  }),
};

test("a canvas is the same each time, and its map and labels say what is on it", async () => {
  const data = canvases(items, 40, "a");
  let filled = 0;
  for (let index = 0; index < data.length; index++) {
    const { image, segments, present } = await data.canvas(index);
    expect((await data.get(index)).image).toEqual(image);
    const seen = new Set<number>();
    for (let quarter = 0; quarter < 4; quarter++) {
      const corner = 28 * (quarter >> 1) * side + 28 * (quarter & 1);
      const label = segments[corner]!;
      const isThere = label !== background;
      if (isThere) {
        filled++;
        seen.add(label);
      }
      expect(image[corner]).toBe(isThere ? 0.5 : 0);
      expect(segments[corner + 14]).toBe(background); // 0.05 is below the threshold
      expect(image[corner + 14]).toBeCloseTo(isThere ? 0.05 : 0, 6);
    }
    expect([...present.keys()].filter((c) => present[c] === 1)).toEqual([...seen].sort());
  }
  expect(filled / 160).toBeGreaterThan(0.65);
  expect(filled / 160).toBeLessThan(0.85);
  const other = await canvases(items, 40, "b").canvas(0);
  expect(other.segments).not.toEqual((await data.canvas(0)).segments);
});

test("certified canvases are kept one by one, and those that are there are not certified again", async () => {
  await selectBackend("cpu");
  const file = join(folder(), "canvases.tsv");
  const run = (count: number, seed = 2) =>
    certifyCanvases(initDense(key(seed)), canvases(items, 3, "t"), file, {
      ...{ count, n: 32, seed: 1, signal: new AbortController().signal },
    });
  const [first] = await run(1);
  const text = await readFile(file, "utf8");
  await writeFile(file, `${text}1\t0.25\t0.`); // killed while it wrote
  const both = await run(2);
  expect(both[0]).toEqual(first);
  expect(both.map(({ index }) => index)).toEqual([0, 1]);
  expect((await readFile(file, "utf8")).startsWith(text)).toBe(true);
  expect(await resultsIn(file)).toEqual(both);
  expect(both[1]!.radius).toBeCloseTo(0.25 * 0.6744897501960817, 12);
  const before = await readFile(file, "utf8");
  expect(await run(2)).toEqual(both);
  expect(await readFile(file, "utf8")).toBe(before);
  await expect(run(2, 3)).rejects.toThrow(/is of model \w{16}, and this is \w{16}; move the file/);
});

/** A file of results of the given canvases. */
async function resultsOf(...indices: number[]): Promise<string> {
  const file = join(folder(), "canvases.tsv");
  await resultsIn(file); // writes the header
  for (const index of indices) await appendFile(file, `${index}\t1\t0\t1\t0\t0.2\tm\n`);
  return file;
}

test("a file that cannot be read is left as it is", async () => {
  const file = await resultsOf(0, 1);
  const text = await readFile(file, "utf8");
  const refusal = Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  vi.mocked(readFile).mockRejectedValueOnce(refusal);
  await expect(resultsIn(file)).rejects.toThrow(`canvas: cannot read ${file}: EIO`);
  expect(await readFile(file, "utf8")).toBe(text);
  expect(await resultsIn(file)).toHaveLength(2);
});

test("a canvas that is there twice is not counted twice", async () => {
  const file = await resultsOf(0, 1, 1);
  await expect(resultsIn(file)).rejects.toThrow(
    `canvas: line 4 of ${file} must be of canvas 2, got 1; move the file away`,
  );
});

test("one process at a time certifies into a file", async () => {
  const file = await resultsOf();
  const lock = await lockFile(`${file}.lock`, { caller: "test", guarded: file });
  const options = { count: 1, n: 32, seed: 1, signal: new AbortController().signal };
  const second = certifyCanvases({}, canvases(items, 1, "t"), file, options);
  await expect(second).rejects.toThrow(`canvas: ${file} is being written by`);
  await lock.release();
});

test("the dense ViT puts the classes of a patch back where the patch lies", async () => {
  await selectBackend("cpu");
  const host = initDense(key(0));
  const params = toTensors(host);
  const data = uniform(key("canvas"), new Float32Array(side * side));
  const { segments, present } = tf.tidy(() => {
    const found = applyDense(params, tf.tensor4d(data, [1, side, side, 1]));
    return { segments: found.segments.arraySync() as number[][][][], present: found.present.shape };
  });
  expect(present).toEqual([1, background]);
  expect([segments[0]!.length, segments[0]![0]!.length, segments[0]![0]![0]!.length]).toEqual([
    side,
    side,
    background + 1,
  ]);
  // only the bias of pixel (row 2, column 3), class 4 of each patch
  const bias = new Float32Array(host["segments.bias"]!.data.length);
  bias[(2 * 7 + 3) * 11 + 4] = 1000;
  params["segments.bias"]!.dispose();
  params["segments.bias"] = tf.tensor1d(bias);
  const marked = tf.tidy(() =>
    applyDense(params, tf.tensor4d(data, [1, side, side, 1])).segments.arraySync(),
  ) as number[][][][];
  for (const [y, row] of marked[0]!.entries())
    for (const [x, scores] of row.entries())
      expect(scores[4]! > 500).toBe(y % 7 === 2 && x % 7 === 3);
  disposeTensors(params);
});
