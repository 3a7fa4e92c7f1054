import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { expect, it } from "vitest";
import { certifiedAccuracy, certify, certifyDataset, fromOnnx, image, readLog } from "./index.ts";

const at = mkdtempSync(join(tmpdir(), "smoothing-first-"));
const model = fileURLToPath(new URL("./__fixtures__/preprocessing/first.onnx", import.meta.url));
const [mean, std] = [
  [103.5, 116.25, 123],
  [57, 58, 59],
];
const preprocessing = { mean, std, channels: "bgr", scale: 255 } as const;

it("certifies a model that somebody else trained on a photograph", async () => {
  const cat = join(at, "cat.jpg");
  const raw = { width: 60, height: 40, channels: 3 as const };
  const noise = Uint8Array.from({ length: 7200 }, (_, i) => (i * 73) % 251);
  writeFileSync(cat, await sharp(noise, { raw }).jpeg().toBuffer());
  const classifier = await fromOnnx(model, preprocessing);
  const { prediction, radius, shape } = await certify(classifier, await image(cat, { size: 4 }), {
    sigma: 0.25,
    n: 1000,
  });
  expect(prediction).toBeGreaterThanOrEqual(-1);
  expect(radius).toBeGreaterThanOrEqual(0);
  expect(shape).toEqual([4, 4, 3]);
});

it("certifies a data set, as an array or row by row, with a log", async () => {
  const classifier = await fromOnnx(model, preprocessing);
  const testSet = {
    name: "generated",
    length: 6,
    imageShape: [4, 4, 3] as const,
    numClasses: 3,
    get: (i: number) => ({
      image: Float32Array.from({ length: 48 }, (_, k) => ((k * (i + 3)) % 17) / 17),
      label: i % 3,
    }),
  };
  const log = join(at, "run.tsv");
  const rows = await certifyDataset(classifier, testSet, { sigma: 0.25, n: 100, log }).toArray();
  expect(rows.map((row) => row.idx)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(await readLog(log)).toEqual(rows);
  expect(rows[0]!.settings!.shape).toBe("4x4x3");
  expect(certifiedAccuracy(rows, [0])[0]).toBeGreaterThanOrEqual(0);
  const again = certifyDataset(classifier, testSet, { sigma: 0.25, n: 100, log });
  const first = await again.next();
  expect([first.value, ...(await again.toArray())]).toEqual(rows); // what was not read yet
});
