// What certifying costs beyond the model: noisy images a second through certify against the raw model
// and against a Python loop over the same .onnx file; samples that the sequential modes save. DMAE_LOGS names logs
// of certify, with commas between, on which they are replayed beside the published ones (the quickstart leaves one in
// its run folder); DMAE_CERTIFY chooses among throughput and savings.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { exportOnnx } from "@dmae/compile";
import { key, normal } from "@dmae/core";
import { certifyDataset, fromOnnx, type LogRow, readLog } from "@dmae/smoothing-certify";
import { createViT } from "@dmae/vit";
import type * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { adaptiveCost } from "../packages/smoothing-certify/src/__fixtures__/adaptive-cost.ts";
import {
  replay,
  replayAdaptive,
} from "../packages/smoothing-certify/src/__fixtures__/replay-log.ts";

const config = {
  imageSize: 28,
  channels: 1,
  patchSize: 4,
  width: 192,
  depth: 6,
  heads: 3,
  mean: [0.286],
  std: [0.353],
  numClasses: 10,
};
const samples = 5000;
const rounds = 5;

/** Prints the tables. */
export async function certifyBenchmark(): Promise<void> {
  const parts = (process.env.DMAE_CERTIFY ?? "throughput,savings").split(",");
  const folder = mkdtempSync(join(tmpdir(), "bench-certify-"));
  try {
    if (parts.includes("throughput")) await throughput(folder);
    if (parts.includes("savings")) {
      await savings();
      adaptive();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function throughput(folder: string): Promise<void> {
  const model = join(folder, "tiny.onnx");
  writeFileSync(model, exportTiny());
  console.log(
    `ViT, ${JSON.stringify(config)}, ${samples} noisy images of 5 inputs; medians of ${rounds} rounds in turns\n`,
  );
  console.log(
    "| batch | raw model, images/s | certifyDataset, images/s | overhead | Python loop, images/s | certifyDataset to Python |",
  );
  console.log("|---|---|---|---|---|---|");
  for (const batchSize of [32, 128]) {
    const classifier = await fromOnnx(model, { layout: "NHWC" });
    const seconds = { raw: [] as number[], certified: [] as number[], python: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      const before = await rawSeconds(classifier, batchSize, samples / 2);
      seconds.certified.push(await certifySeconds(classifier, batchSize));
      seconds.raw.push(before + (await rawSeconds(classifier, batchSize, samples / 2)));
      seconds.python.push(pythonSeconds(model, batchSize));
    }
    await classifier.dispose();
    const overhead = median(seconds.certified.map((s, i) => s / seconds.raw[i]! - 1));
    const against = median(seconds.certified.map((s, i) => seconds.python[i]! / s));
    const rate = (list: number[]) => (samples / median(list)).toFixed(0);
    const python = Number.isNaN(against)
      ? "skipped: no onnxruntime (set DMAE_PYTHON) | -"
      : `${rate(seconds.python)} | ${against.toFixed(2)}`;
    console.log(
      `| ${batchSize} | ${rate(seconds.raw)} | ${rate(seconds.certified)} | ${(100 * overhead).toFixed(1)} % | ${python} |`,
    );
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function exportTiny(): Uint8Array {
  const vit = createViT(config);
  const constants = vit.initHost(key(0));
  const logits = ({ image, ...params }: Record<string, tf.Tensor>) => ({
    logits: vit.logits(params, image as tf.Tensor4D),
  });
  const specs = { image: { shape: [1, 28, 28, 1] } };
  return exportOnnx({ fn: logits as never, specs, constants }, { dynamicBatch: true });
}

type Model = Awaited<ReturnType<typeof fromOnnx>>;

/** The model alone, on as many images in the same batches. */
async function rawSeconds(model: Model, batchSize: number, images: number): Promise<number> {
  const batch = normal(key(1), batchSize * 784, { mean: 0.5, standardDeviation: 0.25 });
  await model.predict(batch, [batchSize, 28, 28, 1]);
  const start = performance.now();
  for (let done = 0; done < images; done += batchSize) {
    const rows = Math.min(batchSize, images - done);
    await model.predict(batch.subarray(0, rows * 784), [rows, 28, 28, 1]);
  }
  return (performance.now() - start) / 1000;
}

/** certifyDataset with everything on: noise, votes, the check of rows. */
async function certifySeconds(model: Model, batchSize: number): Promise<number> {
  const dataset = {
    name: "grey",
    length: 5,
    imageShape: [28, 28, 1] as const,
    numClasses: 10,
    get: () => ({ image: new Float32Array(784).fill(0.5), label: 0 }),
  };
  const start = performance.now();
  for await (const _ of certifyDataset(model, dataset, {
    sigma: 0.25,
    n: samples / 5 - 100,
    batchSize,
  }));
  return (performance.now() - start) / 1000;
}

/** The usual loop of the Python tools around the same file: NumPy noise, onnxruntime, bincount. */
function pythonSeconds(model: string, batchSize: number): number {
  const script = `
import time, numpy as np, onnxruntime as ort
session = ort.InferenceSession(${JSON.stringify(model)}, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
x = np.full((28, 28, 1), 0.5, np.float32); g = np.random.default_rng(0)
session.run(None, {name: np.zeros((${batchSize}, 28, 28, 1), np.float32)})
counts = np.zeros(10, int); start = time.perf_counter(); left = ${samples}
while left > 0:
    b = min(${batchSize}, left); left -= b
    noise = g.standard_normal((b, 28, 28, 1), dtype=np.float32) * 0.25
    counts += np.bincount(session.run(None, {name: x + noise})[0].argmax(1), minlength=10)
print(time.perf_counter() - start)
`;
  const python = process.env.DMAE_PYTHON ?? "python3";
  const { status, stdout } = spawnSync(python, ["-c", script], { encoding: "utf8" });
  return status === 0 ? Number(stdout) : Number.NaN;
}

/** Samples saved on published logs, and on our own where DMAE_LOGS names some. */
async function savings(): Promise<void> {
  console.log(
    "\nSamples saved at one radius, replayed from logs (alpha = 0.001); certified accuracy in %\n",
  );
  console.log(
    "| log | radius | cap | mean samples | fewer than the cap | sequential | n = 10,000 | n = 100,000 |",
  );
  console.log("|---|---|---|---|---|---|---|---|");
  for (const { name, rows, sigma } of await logs())
    for (const radius of [sigma / 2, sigma, 2 * sigma])
      for (const cap of [10_000, 100_000]) {
        const { sequential, fixed, images } = replay(rows, sigma, radius, cap);
        const percent = (count: number) => ((100 * count) / images).toFixed(2);
        const times = ((cap + 100) / sequential.samples).toFixed(0);
        const accuracies = [sequential, ...fixed].map(({ certified }) => percent(certified));
        const cells = [
          name,
          radius,
          cap,
          sequential.samples.toFixed(0),
          `${times}x`,
          ...accuracies,
        ];
        console.log(`| ${cells.join(" | ")} |`);
      }
  console.log("\n| log | mean samples, radius within 5 % of that of n = 100,000 |\n|---|---|");
  for (const { name, rows, sigma } of await logs())
    console.log(`| ${name} | ${replayAdaptive(rows, sigma).toFixed(0)} |`);
}

/** What certifyAdaptive costs and gives at its default options; exact expectations. */
function adaptive(): void {
  console.log("\n| p | samples of certifyAdaptive | fewer than 100,000 | mean radius given away |");
  console.log("|---|---|---|---|");
  const settings = { sigma: 1, alpha: 0.001, pilot: 200, relativeWidth: 0.05, maxSamples: 100_000 };
  const costs = [0.6, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 0.99999].map((p) => {
    const { samples, shortfall } = adaptiveCost(p, settings);
    const times = (100_000 / samples).toFixed(1);
    console.log(`| ${p} | ${samples.toFixed(0)} | ${times}x | ${(100 * shortfall).toFixed(2)} % |`);
    return { p, samples };
  });
  const goal = costs.filter(({ p }) => p >= 0.9 && p <= 0.9999);
  const mean = goal.reduce((sum, { samples }) => sum + samples / goal.length, 0);
  console.log(`\nmean of p = 0.9 to 0.9999: ${mean.toFixed(0)}, ${(1e5 / mean).toFixed(1)}x fewer`);
}

async function logs(): Promise<{ name: string; rows: LogRow[]; sigma: number }[]> {
  const published = new URL(
    "../packages/smoothing-certify/src/__fixtures__/published/",
    import.meta.url,
  );
  const found = [];
  for (const [name, sigma] of [
    ["noise_0.25/cohen/noise_0.25", 0.25],
    ["noise_0.5/cohen/noise_0.5", 0.5],
    ["noise_0.5/cat-rs/noise_0.5", 0.5],
    ["noise_1.0/cat-rs/noise_1.0", 1],
  ] as const) {
    const rows = await readLog(new URL(`${name}.tsv.gz`, published));
    found.push({ name: name.replace(/\/[^/]*$/, ""), rows, sigma });
  }
  for (const file of process.env.DMAE_LOGS?.split(",") ?? []) {
    const rows = await readLog(file, { partial: true });
    const sigma = rows[0]?.settings?.sigma;
    if (sigma) found.push({ name: `${basename(file)}, ${rows.length} images`, rows, sigma });
  }
  return found;
}
