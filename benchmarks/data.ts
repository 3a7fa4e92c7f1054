import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { foldIn, key } from "@dmae/core";
import {
  type BatchOptions,
  batchLoader,
  createImageWorkers,
  type EncodedDataset,
  evaluationTransform,
  loadImageFolder,
  randAugment,
  randomHorizontalFlip,
  randomResizedCrop,
  synthetic,
} from "@dmae/datasets";
import sharp from "sharp";

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
      ["fine-tuning: the same with RandAugment", { transform: [...pretrain, randAugment()] }],
    ];
    console.log("JPEGs of 500x375 to 224x224, batches of 64.\n");
    console.log("| transform | threads | images/s | images/s per core | memory growth |");
    console.log("|---|---|---|---|---|");
    for (const [name, options] of rows)
      for (const count of new Set([1, cpus().length])) {
        const workers = createImageWorkers(count);
        const { wall, core, growth } = await measure(dataset, { ...common, ...options, workers });
        await workers.close();
        const grown = `${Math.round(growth / 2 ** 20)} MiB`;
        console.log(`| ${name} | ${count} | ${wall.toFixed(0)} | ${core.toFixed(0)} | ${grown} |`);
      }
  } finally {
    await rm(folder, { recursive: true });
  }
}
