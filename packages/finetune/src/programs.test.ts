import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exportOnnx } from "@dmae/compile";
import { loadImageFolder, splitDataset } from "@dmae/datasets";
import { pretrain, pretrainRecipe } from "@dmae/pretrain";
import { certify, fromOnnx } from "@dmae/smoothing-certify";
import { tiny } from "@dmae/vit";
import { expect, it } from "vitest";
import { writePhotos } from "../../../testing/image-folder.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { finetuneRecipe, robustFinetune } from "./index.ts";

const scratch = temporaryFolders("dmae-programs");

it("programs 3 and 4: pre-trains and fine-tunes on a folder of photos, certifies, exports", async () => {
  const images = await loadImageFolder(await writePhotos(scratch(), { perClass: 3 }));
  const { encoder, metrics } = await pretrain(
    pretrainRecipe({ model: tiny(images), epochs: 4 }),
    images,
  );
  expect(Number.isFinite(metrics.loss)).toBe(true);
  const tuned = await robustFinetune(
    finetuneRecipe({ model: tiny(images), sigma: 0.25, epochs: 2 }),
    images,
    { pretrained: encoder },
  );
  expect(tuned.report!.loaded).toContain("blocks.3.mlp.fc2.weight");

  const { image: x } = await images.get(0);
  const shape = [224, 224, 3];
  const options = { shape, n0: 10, n: 30, seed: 1 };
  const classifier = tuned.classifier();
  const certificate = await certify(classifier, x, { sigma: 0.25, ...options });
  await classifier.dispose();
  const file = join(scratch(), "model.onnx");
  await writeFile(file, exportOnnx(tuned.program(), { dynamicBatch: true }));
  const exported = await fromOnnx(file);
  const again = await certify(exported, x, { sigma: 0.25, ...options });
  expect({ ...again, seed: 1 }).toMatchObject({ ...certificate, seed: 1 });
  expect(readFileSync(file).length).toBeGreaterThan(1e6);
}, 300_000);

it("learns the classes of a small folder, loaded in the size that fits", async () => {
  const photos = await writePhotos(scratch(), { perClass: 40, side: 40 });
  const images = await loadImageFolder(photos, { size: 32 });
  const { train, test } = splitDataset(images, { test: 0.25, seed: 0 });
  const recipe = finetuneRecipe({
    model: tiny(train, { width: 32, depth: 2 }),
    sigma: 0.1,
    epochs: 16,
  });
  const tuned = await robustFinetune(recipe, train, { seed: 3 });
  const classifier = tuned.classifier({ batchSize: 20 });
  const batch = new Float32Array(20 * 32 * 32 * 3);
  const labels: number[] = [];
  for (let i = 0; i < 20; i++) {
    const { image, label } = await test.get(i);
    batch.set(image, i * image.length);
    labels.push(label);
  }
  const { data, shape } = await classifier.predict(batch);
  await classifier.dispose();
  expect(shape).toEqual([20, 2]);
  const right = labels.filter((label, i) => (data[2 * i + 1]! > data[2 * i]! ? 1 : 0) === label);
  expect(right.length).toBeGreaterThan(14);
  expect(tuned.step).toBe(16); // 60 images: one batch an epoch
}, 300_000);

it("names a folder in the wrong size, and how to load it", async () => {
  const photos = await writePhotos(scratch());
  const images = await loadImageFolder(photos, { size: 32 });
  const recipe = finetuneRecipe({ model: tiny(images) });
  await expect(robustFinetune(recipe, await loadImageFolder(photos))).rejects.toThrow(
    "robustFinetune: images must be [32,32,3], got [224,224,3]; load them in that size, e.g. loadImageFolder(folder, { size: 32 })",
  );
  await expect(robustFinetune(recipe, loadImageFolder(photos) as never)).rejects.toThrow(
    "robustFinetune: the data set is a promise; await it first",
  );
  const grey = await loadImageFolder(photos, { size: 32, channels: 1 });
  await expect(robustFinetune(recipe, grey)).rejects.toThrow(
    "must be [32,32,3], got [32,32,1]; load them in that size, e.g. loadImageFolder(folder, { size: 32, channels: 3 })",
  );
  await expect(loadImageFolder(photos, { size: 32, transform: images.transform })).rejects.toThrow(
    "size and transform exclude each other",
  );
});
