import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { foldIn, key, normal } from "@dmae/core";
import {
  type BatchOptions,
  batchLoader,
  type EncodedDataset,
  loadImageFolder,
  synthetic,
} from "@dmae/datasets";
import { createImageWorkers, decodeImage } from "@dmae/datasets/images";
import {
  evaluationTransform,
  randAugment,
  randomErasing,
  randomHorizontalFlip,
  randomResizedCrop,
  resizePixels,
  toUnit,
} from "@dmae/datasets/transforms";
import sharp from "sharp";
import { measureTrainingStep } from "./_training-step.ts";

const batchSize = 64;
const steps = 12;

/** JPEGs of ImageNet's usual size, 500x375, 4:2:0, about 100 KB: waves and noise. */
async function drawImages(folder: string, count: number): Promise<void> {
  const images = synthetic({ length: count, key: key(0), imageShape: [375, 500, 3] });
  for (let i = 0; i < count; i++) {
    const { data, height, width } = images.pixels(i);
    const jpeg = await sharp(data, { raw: { height, width, channels: 3 } })
      .jpeg({ quality: 90, chromaSubsampling: "4:2:0" })
      .toBuffer();
    await mkdir(join(folder, `class${i % 4}`), { recursive: true });
    await writeFile(join(folder, `class${i % 4}`, `${i}.jpg`), jpeg);
  }
}

/** Images per second of wall time and per second of processor time, and the growth of memory. */
async function measure(dataset: EncodedDataset, options: BatchOptions) {
  const loader = batchLoader(dataset, { ...options, dropLast: true });
  await loader.at(0);
  await loader.at(1); // threads are up, memory has its size
  const memory = process.memoryUsage().rss;
  const processor = process.cpuUsage();
  const start = performance.now();
  for (let step = 2; step < 2 + steps; step++) await loader.at(step);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(processor);
  const growth = process.memoryUsage().rss - memory;
  await loader.close();
  const images = steps * batchSize;
  return { wall: images / seconds, core: (images * 1e6) / (user + system), growth };
}

/** Processor milliseconds of `work`, the best of five. */
async function milliseconds(work: () => unknown): Promise<number> {
  const repeats = 30;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const start = process.cpuUsage();
    for (let i = 0; i < repeats; i++) await work();
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, (user + system) / 1000 / repeats);
  }
  return best;
}

/** The parts, one image at a time; `pillow_baseline.py` prints the same rows. */
async function printParts(): Promise<void> {
  const image = synthetic({ length: 1, key: key(0), imageShape: [375, 500, 3] }).pixels(0);
  const { data, height, width } = image;
  const jpeg = await sharp(data, { raw: { height, width, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
  const crop = synthetic({ length: 1, key: key(0), imageShape: [290, 330, 3] }).pixels(0);
  const view = resizePixels(crop, 224, 224).data;
  const out = new Float32Array(view.length);
  const rows: [string, () => unknown][] = [
    [`decode a 500x375 JPEG of ${jpeg.length >> 10} KB`, () => decodeImage(jpeg, "jpeg")],
    ["resize 330x290 to 224x224, bicubic", () => resizePixels(crop, 224, 224)],
    ["to float32", () => toUnit(view, out)],
    ["Gaussian noise, 224x224", () => normal(key(0), out)],
  ];
  console.log("| one image | processor time |\n|---|---|");
  for (const [name, work] of rows)
    console.log(`| ${name} | ${(await milliseconds(work)).toFixed(2)} ms |`);
}

/** Whether the data keep a training step waiting: the step of this machine, and faster ones. */
async function printAgainstStep(
  dataset: EncodedDataset,
  perCore: readonly [string, number][],
): Promise<void> {
  const transform = [randomResizedCrop(224), randomHorizontalFlip()];
  const { name, alone, fed, waited } = await measureTrainingStep(dataset, transform);
  const share = (100 * waited).toFixed(1);
  console.log(`\n${name}: ${alone.toFixed(1)} images/s from a batch that is ready;`);
  console.log(`from JPEGs with noise, one data thread beside it: ${fed.toFixed(1)} images/s,`);
  console.log(`${share} % of the time spent waiting for data.\n`);
  const rates = [250, 1000, 4000];
  console.log(
    "Cores that keep a faster step fed (a step above the first number starves on one core):\n",
  );
  const columns = rates.map((rate) => `${rate} images/s`).join(" | ");
  console.log(`| transform | images/s of one core | ${columns} |\n|---|---|---|---|---|`);
  for (const [row, core] of perCore)
    console.log(
      `| ${row} | ${core.toFixed(0)} | ${rates.map((r) => Math.ceil(r / core)).join(" | ")} |`,
    );
}

/** Decoding, augmentation and noise: how many images a second reach the training step. */
export async function dataBenchmark(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "dmae-bench-"));
  try {
    await drawImages(folder, 128);
    const dataset = await loadImageFolder(folder, { indexFile: false });
    const common = { batchSize, shuffle: true, key: key(1) };
    const pretrain = [randomResizedCrop(224), randomHorizontalFlip()];
    const noiseKeys = (epoch: number) => [foldIn(key(2), epoch)];
    const rows: [string, Partial<BatchOptions>][] = [
      ["evaluation: resize 256, centre crop 224", { transform: evaluationTransform() }],
      ["pre-training: random resized crop, flip", { transform: pretrain }],
      ["the same with noise for every pixel", { transform: pretrain, noiseKeys }],
      [
        "fine-tuning: crop, flip, RandAugment, erasing, noise",
        { transform: [...pretrain, randAugment(), randomErasing()], noiseKeys },
      ],
    ];
    await printParts();
    console.log("\nJPEGs of 500x375 to 224x224, batches of 64.\n");
    console.log("| transform | threads | images/s | images/s per core | memory growth |");
    console.log("|---|---|---|---|---|");
    const perCore: [string, number][] = [];
    for (const [name, options] of rows)
      for (const count of new Set([1, cpus().length])) {
        const workers = createImageWorkers(count);
        const { wall, core, growth } = await measure(dataset, { ...common, ...options, workers });
        await workers.close();
        if (count === 1) perCore.push([name, core]);
        const grown = `${Math.round(growth / 2 ** 20)} MiB`;
        console.log(`| ${name} | ${count} | ${wall.toFixed(0)} | ${core.toFixed(0)} | ${grown} |`);
      }
    await printAgainstStep(dataset, perCore);
  } finally {
    await rm(folder, { recursive: true });
  }
}
