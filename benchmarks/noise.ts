// What noise costs: normals per second by kernel, the copies of an image by law and by threads, other
// libraries, and the share of noise in a ViT-Tiny forward pass on 32 x 32 x 3 images.
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { compile } from "@dmae/compile";
import { type HostTensor, key, normal } from "@dmae/core";
import { certify } from "@dmae/smoothing-certify";
import { noiseSource, soundNoise } from "@dmae/smoothing-certify/noise";
import { noiseInWorkers } from "@dmae/smoothing-certify/workers";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { javascriptKernels } from "../packages/core/src/kernels.ts";
import { fastestKernels } from "../packages/core/src/wasm/engine.ts";

const rounds = 7;

/** Seconds of the fastest of some runs, after one to warm up. */
async function fastest(run: () => unknown): Promise<number> {
  await run();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await run();
    best = Math.min(best, performance.now() - start);
  }
  return best / 1000;
}

/** Prints a row of the table; returns the seconds. */
async function row(name: string, count: number, run: () => unknown): Promise<number> {
  const seconds = await fastest(run);
  console.log(`| ${name} | ${(count / seconds / 1e6).toFixed(1)} |`);
  return seconds;
}

/** Prints the table of numbers per second. */
export async function noiseBenchmark(): Promise<void> {
  console.log("| drawing | million numbers/s |\n|---|---|");
  await kernelRows();
  await otherLibraries();
  const here = await copyRows();
  await threadRows();
  await certifyWithThreads();
  await forwardPass(here);
}

async function kernelRows(): Promise<void> {
  const at = { keyLow: 1, keyHigh: 2, domain: 1, indexLow: 3, indexHigh: 0 };
  const kernels = { JavaScript: javascriptKernels, WebAssembly: fastestKernels() };
  for (const [name, { normals }] of Object.entries(kernels))
    await row(`normals, ${name}, one thread`, 1024 * 2000, () => {
      for (let i = 0; i < 2000; i++) normals(at, 512 * i, 512);
    });
  const out = new Float32Array(2_000_000);
  await row("normal(key, Float32Array)", out.length, () => normal(key(1), out));
}

async function otherLibraries(): Promise<void> {
  const count = 2_000_000;
  await tf.setBackend("cpu");
  await row("tf.randomNormal of TensorFlow.js", count, () =>
    tf.randomNormal([count], 0, 1, "float32", 7).dispose(),
  );
  const script = `
import time
def best(run):
    run(); times = []
    for _ in range(${rounds}):
        start = time.perf_counter(); run(); times.append(time.perf_counter() - start)
    return ${count} / min(times) / 1e6
try:
    import numpy as np
    g = np.random.Generator(np.random.Philox(1)); a = np.empty(${count}, np.float32)
    print(f"| NumPy {np.__version__}, Philox, float32 | {best(lambda: g.standard_normal(out=a, dtype=np.float32)):.1f} |")
except ImportError: pass
try:
    import torch
    torch.set_num_threads(1)
    for t in (torch.float32, torch.float64):
        x = torch.empty(${count}, dtype=t)
        print(f"| PyTorch {torch.__version__}, {t}, one thread | {best(lambda: x.normal_()):.1f} |")
except ImportError: pass
`;
  const { stdout } = spawnSync(process.env.PYTHON ?? "python3", ["-c", script], {
    encoding: "utf8",
  });
  if (stdout) console.log(stdout.trim());
}

/** Noisy copies of a 32 x 32 x 3 image; returns the seconds of one Gaussian copy. */
async function copyRows(): Promise<number> {
  const image = Float32Array.from({ length: 3072 }, (_, i) => (i % 256) / 255);
  const [settings, count] = [{ seed: 0, sigma: 0.5 }, 256];
  const draw = { image: 0, stage: "estimation", first: 0, count } as const;
  const out = new Float32Array(count * image.length);
  let gaussian = 0;
  for (const distribution of ["gaussian", "uniform", "laplace"] as const) {
    const source = noiseSource({ ...settings, distribution });
    const seconds = await row(`copies of 32x32x3, ${distribution}`, out.length, () =>
      source.fill(out, image, draw),
    );
    if (distribution === "gaussian") gaussian = seconds / count;
  }
  const sound = soundNoise(settings);
  await row("copies of 32x32x3, sound: true", out.length, () => sound.fill(out, image, draw));
  return gaussian;
}

async function threadRows(): Promise<void> {
  const image = new Float32Array(224 * 224 * 3);
  const count = 32;
  const out = new Float32Array(count * image.length);
  for (const workers of [0, 1, 2, 4]) {
    const noise = await noiseInWorkers({ seed: 0, sigma: 0.5 }, { workers });
    let first = 0;
    const where = workers === 0 ? "in the caller's thread" : `in ${workers} worker thread(s)`;
    await row(`copies of 224x224x3, ${where}`, out.length, async () => {
      await noise.fill(out, image, { image: 0, stage: "estimation", first, count });
      first += count;
    });
    await noise.close();
  }
}

/**
 * certify with noise from threads against noise drawn where it is asked for, in turns: with a model that
 * works elsewhere (a timer stands for an accelerator), and with one that keeps the caller's thread busy.
 */
async function certifyWithThreads(): Promise<void> {
  const workers = Math.max(1, availableParallelism() - 1);
  const elsewhere = async (rows: number) => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    return new Int32Array(rows);
  };
  const here = (milliseconds: number) => (rows: number) => {
    for (const end = performance.now() + milliseconds; performance.now() < end; );
    return new Int32Array(rows);
  };
  const models = [
    ["224x224x3, 10 ms a batch of 32 on an accelerator", 224, elsewhere],
    ["224x224x3, 60 ms a batch of 32 in the caller's thread", 224, here(60)],
    ["32x32x3, 10 ms a batch of 32 in the caller's thread", 32, here(10)],
  ] as const;
  console.log(`\n| certify | noise in ${workers} thread(s) to noise in the caller's thread |`);
  console.log("|---|---|");
  for (const [name, side, model] of models) {
    const predict = (_: Float32Array, [rows = 0]: number[]) => model(rows);
    const x = { data: new Float32Array(side * side * 3).fill(0.5), shape: [side, side, 3] };
    const threads = await noiseInWorkers({ seed: 0, sigma: 0.5 }, { workers });
    const options = { sigma: 0.5, n0: 32, n: 320, batchSize: 32, numClasses: 2 };
    const seconds = async (more: { noise?: typeof threads }) => {
      const start = performance.now();
      await certify(predict, x, { ...options, ...more });
      return performance.now() - start;
    };
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round++)
      ratios.push((await seconds({})) / (await seconds({ noise: threads })));
    await threads.close();
    const median = ratios.sort((a, b) => a - b)[rounds >> 1]!;
    console.log(`| ${name} | ${median.toFixed(2)}x as fast |`);
  }
}

/** The share of noise in certifying with a ViT-Tiny, patch 4, compiled, on the cores of this machine. */
async function forwardPass(noisePerImage: number): Promise<void> {
  const batch = 64;
  const vit = createViT("vit_tiny_patch16", { imageSize: 32, patchSize: 4, numClasses: 10 });
  const params = vit.init(key(0));
  const logits = await compile(({ x }) => ({ y: vit.logits(params, x as tf.Tensor4D) }), {
    x: { shape: [batch, 32, 32, 3] },
  });
  const data = normal(key(1), batch * 3072);
  const x: HostTensor = { dtype: "float32", shape: [batch, 32, 32, 3], data };
  const seconds = (await fastest(() => logits({ x }))) / batch;
  logits.dispose();
  tf.dispose(params);
  const share = (100 * noisePerImage) / (noisePerImage + seconds);
  console.log(
    `\nViT-Tiny (patch 4, 65 tokens) on 32x32x3: ${(1e3 * seconds).toFixed(2)} ms an image forward, ` +
      `${(1e3 * noisePerImage).toFixed(3)} ms of noise: ${share.toFixed(1)} % of the two`,
  );
}
