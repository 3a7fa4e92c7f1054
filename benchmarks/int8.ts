// What int8 costs a certificate: the quickstart's classifier in float32 and int8 under the same noise.
// DMAE_MODEL is the quickstart's finetune/model.safetensors (npm start leaves it in its run folder); DMAE_IMAGES and
// DMAE_N set how many test images and noisy copies of each (500 and 10,000 take an hour on two cores).
import "@tensorflow/tfjs-backend-cpu";
import process from "node:process";
import { loadCheckpoint } from "@dmae/checkpoint";
import { compiledExecutor, type Quantization, quantize } from "@dmae/compile";
import { foldIn, type HostTensor, type HostTensors, key, normal } from "@dmae/core";
import { fashionMnist } from "@dmae/datasets";
import type { Tensors } from "@dmae/nn";
import {
  averageCertifiedRadius,
  certifiedAccuracy,
  certifyDataset,
  type LogRow,
} from "@dmae/smoothing-certify";
import { createViT } from "@dmae/vit";

const sigma = 0.25;
const batch = 64;
const radii = [0, 0.25, 0.5, 0.75];
const shape = [batch, 28, 28, 1];
const vit = createViT({
  imageSize: 28,
  patchSize: 7,
  channels: 1,
  width: 128,
  depth: 4,
  heads: 4,
  mean: [0.286],
  std: [0.353],
  numClasses: 10,
  globalPool: true,
});
const fn = ({ x, ...params }: Tensors) => ({ logits: vit.logits(params, x!) });
const specs = { x: { shape } };

async function noisyBatches(count: number, name: string): Promise<{ x: HostTensor }[]> {
  const { train, test } = await fashionMnist();
  const source = name === "calibration" ? train : test;
  const batches: { x: HostTensor }[] = [];
  for (let b = 0; b < count; b++) {
    const data = normal(foldIn(key(7), `${name} ${b}`), batch * 784, { standardDeviation: sigma });
    for (let i = 0; i < batch; i++) {
      const { image } = await source.get((97 * (b * batch + i)) % source.length);
      for (let p = 0; p < 784; p++) data[i * 784 + p]! += image[p]!;
    }
    batches.push({ x: { dtype: "float32", shape, data } });
  }
  return batches;
}

const classes = (logits: HostTensor) =>
  Array.from({ length: batch }, (_, i) => {
    const row = Array.from(logits.data.subarray(10 * i, 10 * i + 10));
    return row.indexOf(Math.max(...row));
  });

async function prepare(constants: HostTensors, quantization?: Quantization) {
  const options = quantization ? { precision: "int8" as const, quantization } : {};
  return compiledExecutor(options).prepareFunction(fn, { constants, inputs: specs });
}

/** Classes of fresh noisy test images that stay the same, for each rule and number of bits. */
async function compareRules(constants: HostTensors): Promise<void> {
  const calibration = await noisyBatches(8, "calibration");
  const fresh = await noisyBatches(32, "fresh");
  const float = await prepare(constants);
  const expected = await Promise.all(fresh.map(async (b) => (await float.run(b)).logits!));
  float.dispose();
  console.log(
    `Classes kept of ${fresh.length * batch} noisy test images, and root mean square error of the logits relative to their size:\n`,
  );
  console.log("| range rule | 7-bit weights | 8-bit weights |\n|---|---|---|");
  for (const rule of ["minmax", "percentile", "mse"] as const) {
    const cells: string[] = [];
    for (const weightBits of [7, 8] as const) {
      const quantization = await quantize(fn, specs, { constants, calibration, rule, weightBits });
      const program = await prepare(constants, quantization);
      let same = 0;
      let error = 0;
      let size = 0;
      for (const [i, b] of fresh.entries()) {
        const logits = (await program.run(b)).logits!;
        const wanted = classes(expected[i]!);
        same += classes(logits).filter((c, j) => c === wanted[j]).length;
        logits.data.forEach((v, j) => {
          error += (v - expected[i]!.data[j]!) ** 2;
          size += expected[i]!.data[j]! ** 2;
        });
      }
      program.dispose();
      const kept = ((100 * same) / (fresh.length * batch)).toFixed(2);
      cells.push(`${kept} %, ${Math.sqrt(error / size).toFixed(4)}`);
    }
    console.log(`| ${rule} | ${cells.join(" | ")} |`);
  }
}

async function certifyWith(
  constants: HostTensors,
  images: number,
  n: number,
  quantization?: Quantization,
) {
  const program = await prepare(constants, quantization);
  const { test } = await fashionMnist();
  const classifier = {
    input: "array" as const,
    fixedBatchSize: batch,
    numClasses: 10,
    predict: async (data: Float32Array) =>
      (await program.run({ x: { dtype: "float32", shape, data } })).logits,
  };
  const rows: LogRow[] = [];
  const started = performance.now();
  const options = {
    sigma,
    n0: 100,
    n,
    alpha: 0.001,
    seed: 0,
    skip: Math.floor(test.length / images),
    max: images,
  };
  for await (const row of certifyDataset(classifier, test, options)) rows.push(row);
  program.dispose();
  return { rows, rate: (1000 * images * (n + 100)) / (performance.now() - started) };
}

/** Share of the votes of all images that lie in the same class in both logs. */
function commonVotes(a: readonly LogRow[], b: readonly LogRow[]): number {
  let common = 0;
  let all = 0;
  for (const [i, row] of a.entries())
    row.counts?.forEach((count, c) => {
      common += Math.min(count, b[i]!.counts?.[c] ?? 0);
      all += count;
    });
  return common / all;
}

/** Prints the tables. */
export async function int8Benchmark(): Promise<void> {
  const path = process.env.DMAE_MODEL;
  if (!path) {
    console.log(
      "skipped: set DMAE_MODEL to the model.safetensors that the quickstart trained (npm start)",
    );
    return;
  }
  const images = Number(process.env.DMAE_IMAGES ?? 100);
  const n = Number(process.env.DMAE_N ?? 1000);
  const checkpoint = await loadCheckpoint(path);
  const constants = await checkpoint.readAll();
  await checkpoint.close();
  await compareRules(constants);
  const calibration = await noisyBatches(8, "calibration");
  const runs = [["float32", await certifyWith(constants, images, n)]] as [
    string,
    Awaited<ReturnType<typeof certifyWith>>,
  ][];
  for (const weightBits of [7, 8] as const) {
    const quantization = await quantize(fn, specs, { constants, calibration, weightBits });
    runs.push([
      `int8, ${weightBits}-bit weights`,
      await certifyWith(constants, images, n, quantization),
    ]);
  }
  console.log(`\nCERTIFY on ${images} test images, sigma ${sigma}, n = ${n}, the same noise:\n`);
  console.log(
    `| | ${radii.map((r) => `r = ${r}`).join(" | ")} | ACR | common votes | noisy images/s |`,
  );
  console.log(`|---|${radii.map(() => "---|").join("")}---|---|---|`);
  for (const [name, { rows, rate }] of runs) {
    const accuracy = certifiedAccuracy(rows, radii).map((a) => `${(100 * a).toFixed(1)} %`);
    const votes = commonVotes(runs[0]![1].rows, rows);
    console.log(
      `| ${name} | ${accuracy.join(" | ")} | ${averageCertifiedRadius(rows).toFixed(4)} | ${(100 * votes).toFixed(2)} % | ${rate.toFixed(0)} |`,
    );
  }
}
