// The same model on everything that can run it here: ViT-Tiny's width, 6 blocks, 64 tokens (32 x 32 x 3 images, patch 4).
// A row for each backend that is installed and for the compiled executor, measured in turns; ratios are to the compiled one.
// For the native row link @tensorflow/tfjs-node as docs/gpu.md says, here or in another folder DIR; then run with
// DMAE_NATIVE_PROJECT=DIR NODE_OPTIONS="--import $PWD/testing/native/resolve.mjs" (npm run bench compile takes it, too).
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import process from "node:process";
import { compiledExecutor } from "@dmae/compile";
import { physicalCores } from "@dmae/compile/executors";
import { key } from "@dmae/core";
import { type Executor, eagerExecutor, selectBackend } from "@dmae/nn";
import { createViT } from "@dmae/vit";
import { classifierStep, floats } from "./_classifier-step.ts";

const seconds = Number(process.env.DMAE_BENCH_SECONDS ?? 2);
const rounds = Number(process.env.DMAE_BENCH_ROUNDS ?? 5);
/** A row whose single run takes longer than this many seconds is measured in one round only. */
const slow = 5;
const vit = createViT({
  width: 192,
  depth: 6,
  heads: 3,
  imageSize: 32,
  patchSize: 4,
  numClasses: 10,
});
/** A row of the table. */
interface Contender {
  readonly name: string;
  readonly batchSize: number;
  readonly executor: Executor;
  /** The TensorFlow.js backend to switch to first. */
  readonly backend?: string;
}

/** A contender, ready for one task. */
interface Runner {
  run(): Promise<unknown>;
  dispose(): void;
}

type Task = (contender: Contender) => Promise<Runner>;

const classify: Task = async ({ executor, batchSize }) => {
  const constants = vit.initHost(key(0));
  const images = floats(1, [batchSize, 32, 32, 3]);
  const program = await executor.prepareFunction({
    fn: ({ x, ...rest }) => ({ logits: vit.logits(rest, x!) }),
    specs: { x: { shape: images.shape } },
    constants,
  });
  return { run: () => program({ x: images }), dispose: () => program.dispose() };
};

const train: Task = async ({ executor, batchSize }) => {
  const { train, state, batch } = classifierStep(vit, batchSize);
  const specs = Object.fromEntries(
    Object.entries({ ...batch, ...train.inputs(0) }).map(([name, { shape }]) => [name, { shape }]),
  );
  const prepared = await executor.prepareStep(train.step, { state, batch: specs });
  let i = 0;
  return {
    run: () => prepared({ ...batch, ...train.inputs(i++) }),
    dispose: () => prepared.dispose(),
  };
};

/** Images per second of each round. */
type Rates = number[];

/** Measures one task in turns; a contender that cannot (wasm lacks kernels) gives the reason. */
async function compare(task: Task, contenders: readonly Contender[]): Promise<(Rates | string)[]> {
  const runners: (Runner | string)[] = [];
  for (const contender of contenders) runners.push(await prepare(task, contender));
  const results = runners.map((runner): Rates | string =>
    typeof runner === "string" ? runner : [],
  );
  for (let round = 0; round < rounds; round++)
    for (const [i, runner] of runners.entries()) {
      const rates = results[i]!;
      const contender = contenders[i]!;
      if (typeof runner === "string" || typeof rates === "string") continue;
      if (round > 0 && contender.batchSize / rates[0]! > slow) continue;
      if (contender.backend) await selectBackend(contender.backend);
      rates.push(await throughput(contender.batchSize, runner.run));
    }
  for (const runner of runners) if (typeof runner !== "string") runner.dispose();
  return results;
}

/** Ready and run once, to warm up; or the reason why not. */
async function prepare(task: Task, contender: Contender): Promise<Runner | string> {
  try {
    if (contender.backend) await selectBackend(contender.backend);
    const runner = await task(contender);
    await runner.run();
    return runner;
  } catch (error) {
    return (error as Error).message.split("\n")[0]!.slice(0, 60);
  }
}

/** Images per second of as many runs as fit into the time, one at least. */
async function throughput(batchSize: number, run: () => Promise<unknown>): Promise<number> {
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

/** What is installed; the two slow backends get fewer images at once. */
async function findContenders(): Promise<{ contenders: Contender[]; missing: string[] }> {
  const contenders: Contender[] = [
    { name: "compiled (ONNX Runtime, cpu)", batchSize: 16, executor: compiledExecutor() },
  ];
  const missing: string[] = [];
  for (const backend of ["tensorflow", "wasm", "cpu"]) {
    const batchSize = backend === "tensorflow" ? 16 : 2;
    const name = `eager, ${backend}`;
    await selectBackend(backend).then(
      () => contenders.push({ name, batchSize, executor: eagerExecutor(), backend }),
      () => missing.push(name),
    );
  }
  return { contenders, missing };
}

const median = (values: readonly number[]) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** Median rate, best rate, and the median of the ratios to the first row of the same rounds. */
function cells(rates: Rates | string, base: Rates | string): string {
  if (typeof rates === "string") return `${rates} | |`;
  const ratios = typeof base === "string" ? [] : rates.map((rate, i) => rate / base[i]!);
  const ratio = ratios.length > 0 ? median(ratios).toFixed(3) : "";
  return `${median(rates).toFixed(1)} | ${Math.max(...rates).toFixed(1)} | ${ratio}`;
}

/** Prints the table. */
export async function backendsBenchmark(): Promise<void> {
  const { contenders, missing } = await findContenders();
  const forward = await compare(classify, contenders);
  const steps = await compare(train, contenders);
  console.log(
    `Images per second, ${rounds} rounds of ${seconds} s in turns; ${physicalCores()} threads\n`,
  );
  console.log("| | classify, median | best | ratio | train (AdamW), median | best | ratio |");
  console.log("|---|---|---|---|---|---|---|");
  for (const [i, { name, batchSize }] of contenders.entries())
    console.log(
      `| ${name}, batch ${batchSize} | ${cells(forward[i]!, forward[0]!)} | ${cells(steps[i]!, steps[0]!)} |`,
    );
  for (const name of missing) console.log(`| ${name} | not installed, see docs/gpu.md | | | | | |`);
  await selectBackend("auto", {
    onReport: ({ reason }) => console.log(`\nselectBackend("auto") chooses ${reason}`),
  });
}
