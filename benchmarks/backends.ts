// The same model on everything that can run it here: ViT-Tiny's width, 6 blocks, 64 tokens (32 x 32 x 3 images, patch 4).
// A row for each backend that is installed and for the compiled executor; ratios are to the compiled one.
// For the native row: npx pnpm add -w --ignore-scripts @tensorflow/tfjs-node@4.22.0, then packages/tfjs-native (docs/gpu.md).
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { compiledExecutor } from "@dmae/compile";
import { type HostTensors, key, uniform } from "@dmae/core";
import { type Executor, eagerExecutor, selectBackend, softmaxCrossEntropy } from "@dmae/nn";
import { adamw, createTrainStep } from "@dmae/train";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";

const seconds = 4;
const vit = createViT({
  width: 192,
  depth: 6,
  heads: 3,
  imageSize: 32,
  patchSize: 4,
  numClasses: 10,
});
/** The same images for every row; the two slow backends get fewer of them at once. */
const imagesOf = (batchSize: number) =>
  ({
    shape: [batchSize, 32, 32, 3],
    dtype: "float32",
    data: uniform(key(1), batchSize * 3072),
  }) as const;
const targetsOf = (batchSize: number) =>
  ({
    shape: [batchSize, 10],
    dtype: "float32",
    data: Float32Array.from({ length: batchSize * 10 }, (_, i) => (i % 11 === 0 ? 1 : 0)),
  }) as const;

/** Images per second: one run to warm up, then as many as fit into the time. */
async function throughput(batchSize: number, run: () => Promise<unknown>): Promise<number> {
  await run();
  const started = performance.now();
  let count = 0;
  let elapsed = 0;
  while (elapsed < 1000 * seconds) {
    await run();
    count++;
    elapsed = performance.now() - started;
  }
  return (1000 * count * batchSize) / elapsed;
}

async function inference(executor: Executor, batchSize: number): Promise<number> {
  const constants = vit.initHost(key(0));
  const images = imagesOf(batchSize);
  const program = await executor.prepareFunction(
    ({ x, ...rest }) => ({ logits: vit.logits(rest, x!) }),
    { constants, inputs: { x: { shape: images.shape } } },
  );
  const result = await throughput(batchSize, () => program.run({ x: images }));
  program.dispose();
  return result;
}

async function training(executor: Executor, batchSize: number): Promise<number> {
  const { step, initState, inputs } = createTrainStep({
    loss: (params, { x, y }) => ({
      loss: tf.mean(softmaxCrossEntropy(vit.logits(params, x!), y!)),
    }),
    optimizer: adamw(),
    schedule: () => 1e-3,
    stepsPerEpoch: 100,
  });
  const batch: HostTensors = { x: imagesOf(batchSize), y: targetsOf(batchSize) };
  const specs = Object.fromEntries(
    Object.entries({ ...batch, ...inputs(0) }).map(([name, { shape }]) => [name, { shape }]),
  );
  const prepared = await executor.prepareStep(step, {
    state: initState(vit.initHost(key(0))),
    batch: specs,
  });
  let i = 0;
  const result = await throughput(batchSize, () => prepared.run({ ...batch, ...inputs(i++) }));
  prepared.dispose();
  return result;
}

/** A number, or the reason why there is none (wasm lacks kernels, a backend that is not installed). */
async function attempt(run: () => Promise<number>): Promise<number | string> {
  try {
    return await run();
  } catch (error) {
    return (error as Error).message.split("\n")[0]!.slice(0, 60);
  }
}

/** Prints the table. */
export async function backendsBenchmark(): Promise<void> {
  const rows: [string, number | string, number | string][] = [];
  const measure = async (name: string, executor: Executor, batchSize: number) => {
    rows.push([
      `${name}, batch ${batchSize}`,
      await attempt(() => inference(executor, batchSize)),
      await attempt(() => training(executor, batchSize)),
    ]);
  };
  await selectBackend("cpu");
  await measure("compiled (ONNX Runtime, cpu)", compiledExecutor(), 16);
  for (const name of ["tensorflow", "wasm", "cpu"]) {
    const failure = await selectBackend(name).then(
      () => undefined,
      () => "not installed, see docs/gpu.md",
    );
    if (failure === undefined)
      await measure(`eager, ${name}`, eagerExecutor(), name === "tensorflow" ? 16 : 2);
    else rows.push([`eager, ${name}`, failure, ""]);
  }
  const [, forward, train] = rows[0]!;
  const cell = (value: number | string, base: number | string) =>
    typeof value === "string" || typeof base === "string"
      ? String(value)
      : `${value.toFixed(1)} (${(value / base).toFixed(2)})`;
  console.log(`images per second; in brackets the ratio to the first row\n`);
  console.log("| | classify | train (AdamW) |\n|---|---|---|");
  for (const [name, a, b] of rows)
    console.log(`| ${name} | ${cell(a, forward)} | ${cell(b, train)} |`);
  await selectBackend("auto", {
    onReport: ({ reason }) => console.log(`\nselectBackend("auto") chooses ${reason}`),
  });
}
